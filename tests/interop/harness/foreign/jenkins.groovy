// What Jenkins is for a step of a shared library, or for a pipeline: the steps that it calls, with its rules for variables.
import groovy.json.JsonSlurper

def library = new File(System.getenv('LIBRARY'))
def given = new JsonSlurper().parseText(System.getenv('GIVEN') ?: '{}')
def credentials = new JsonSlurper().parseText(System.getenv('CREDENTIALS'))
def jenkinsfile = System.getenv('JENKINSFILE')
def variables = new HashMap(System.getenv())
variables.keySet().removeAll(['LIBRARY', 'GIVEN', 'CREDENTIALS', 'JENKINSFILE'])
def folder = File.createTempDir()
def binding = new Binding(env: variables)

// An empty value takes a variable away.
def within = { Map more, Closure body ->
  def before = new HashMap(variables)
  more.each { name, value -> value ? variables.put(name, value.toString()) : variables.remove(name) }
  try {
    body()
  } finally {
    variables.clear()
    variables.putAll(before)
  }
}
def secret = { String id ->
  if (!credentials.containsKey(id)) { throw new IllegalArgumentException("there are no credentials $id") }
  credentials[id]
}
def steps = [
  withEnv: { List pairs, Closure body ->
    within(pairs.collectEntries { def (name, value) = it.toString().split('=', 2) as List; [(name): value] }, body)
  },
  withCredentials: { List bound, Closure body -> within(bound.collectEntries { it }, body) },
  string: { Map wanted -> [(wanted.variable): secret(wanted.credentialsId)] },
  usernamePassword: { Map wanted ->
    def (user, password) = secret(wanted.credentialsId)
    [(wanted.usernameVariable): user, (wanted.passwordVariable): password]
  },
  file: { Map wanted ->
    def stored = new File(folder, wanted.credentialsId)
    stored.text = secret(wanted.credentialsId)
    [(wanted.variable): stored.path]
  },
  libraryResource: { String path -> new File(library, 'resources/' + path).text },
  error: { String message -> throw new IllegalStateException(message) },
  sh: { wanted ->
    def asked = wanted instanceof Map ? wanted : [script: wanted]
    def script = new File(folder, 'script.sh')
    script.text = asked.script
    script.executable = true
    def words = asked.script.startsWith('#!') ? [script.path] : ['sh', '-xe', script.path]
    def builder = new ProcessBuilder(words).redirectError(ProcessBuilder.Redirect.INHERIT)
    if (!asked.returnStdout) { builder.redirectOutput(ProcessBuilder.Redirect.INHERIT) }
    builder.environment().clear()
    builder.environment().putAll(variables)
    def process = builder.start()
    process.outputStream.close()
    def printed = process.inputStream.text
    def code = process.waitFor()
    if (code != 0) { throw new IllegalStateException("script returned exit code $code") }
    asked.returnStdout ? printed : null
  }
]
steps.each { name, body -> binding.setVariable(name, body) }
def shell = new GroovyShell(binding)
def step = shell.parse(new File(library, 'vars/notarypy.groovy'))

// A declarative pipeline: each block is done when it is reached, and what `environment` assigns are variables.
def block = { Closure body -> body() }
def plain = { Object... ignored -> null }
['pipeline', 'stages', 'steps', 'script', 'post', 'always'].each { binding.setVariable(it, block) }
['agent', 'options', 'label', 'disableConcurrentBuilds'].each { binding.setVariable(it, plain) }
binding.setVariable('stage', { String name, Closure body -> body() })
binding.setVariable('environment', { Closure body ->
  def known = new HashSet(binding.variables.keySet())
  body()
  def assigned = binding.variables.findAll { !known.contains(it.key) }
  assigned.each { name, value -> variables.putIfAbsent(name, value.toString()) }
})

try {
  if (jenkinsfile) {
    // The annotation names the version of the library; here it is this one.
    binding.setVariable('notarypy', { Map inputs -> step.call(inputs) })
    def text = new File(jenkinsfile).text
    def libraryLine = /(?m)^@Library\('notarypy@COMMIT'\) _$/
    assert (text =~ libraryLine).count == 1
    shell.evaluate(text.replaceFirst(libraryLine, ''))
  } else {
    println step.call(given)
  }
} catch (IllegalStateException failure) {
  System.err.println("ERROR: ${failure.message}")
  System.exit(1)
} finally {
  folder.deleteDir()
}

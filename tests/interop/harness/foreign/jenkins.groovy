// What Jenkins is for a step of a shared library: the steps that it calls, with the same rules for variables.
import groovy.json.JsonSlurper

def library = new File(System.getenv('LIBRARY'))
def given = new JsonSlurper().parseText(System.getenv('GIVEN'))
def credentials = new JsonSlurper().parseText(System.getenv('CREDENTIALS'))
def variables = new HashMap(System.getenv())
variables.keySet().removeAll(['LIBRARY', 'GIVEN', 'CREDENTIALS'])
def folder = File.createTempDir()

// An empty value takes a variable away.
def within = { Map more, Closure body ->
  def before = new HashMap(variables)
  more.each { name, value -> value ? variables.put(name, value.toString()) : variables.remove(name) }
  try { body() } finally { variables = before }
}
def secret = { Map wanted ->
  if (!credentials.containsKey(wanted.credentialsId)) {
    throw new IllegalArgumentException("there are no credentials ${wanted.credentialsId}")
  }
  credentials[wanted.credentialsId]
}

def step = new GroovyShell().parse(new File(library, 'vars/notarypy.groovy'))
step.binding.setVariable('env', variables)
step.metaClass.withEnv = { List pairs, Closure body ->
  within(pairs.collectEntries { def (name, value) = it.toString().split('=', 2) as List; [(name): value] }, body)
}
step.metaClass.withCredentials = { List bound, Closure body -> within(bound.collectEntries { it }, body) }
step.metaClass.string = { Map wanted -> [(wanted.variable): secret(wanted)] }
step.metaClass.file = { Map wanted ->
  def stored = new File(folder, wanted.credentialsId)
  stored.text = secret(wanted)
  [(wanted.variable): stored.path]
}
step.metaClass.libraryResource = { String path -> new File(library, 'resources/' + path).text }
step.metaClass.error = { String message -> throw new IllegalStateException(message) }
step.metaClass.sh = { Map wanted ->
  def script = new File(folder, 'script.sh')
  script.text = wanted.script
  script.executable = true
  def builder = new ProcessBuilder(script.path).redirectError(ProcessBuilder.Redirect.INHERIT)
  builder.environment().clear()
  builder.environment().putAll(variables)
  def process = builder.start()
  process.outputStream.close()
  def printed = process.inputStream.text
  def code = process.waitFor()
  if (code != 0) { throw new IllegalStateException("script returned exit code $code") }
  wanted.returnStdout ? printed : null
}

try {
  println step.call(given)
} catch (IllegalStateException failure) {
  System.err.println("ERROR: ${failure.message}")
  System.exit(1)
} finally {
  folder.deleteDir()
}

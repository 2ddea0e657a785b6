// The step `notarypy` of a shared library: it installs notarypy, and signs or verifies. vars/notarypy.txt is its help.
// It returns what the step printed: each image by digest on a line, or the folder of the program that was installed.
def call(Map given) {
  // What goes to the script as it is, by the name of its variable there.
  Map variables = [
    mode: 'IN_MODE', package: 'IN_PACKAGE', refs: 'IN_REFS', digestFile: 'IN_DIGEST_FILE', server: 'IN_SERVER', ca: 'IN_CA',
    config: 'IN_CONFIG', root: 'IN_ROOT', signer: 'IN_SIGNER', keyUri: 'IN_KEY', passphraseFile: 'IN_PASSPHRASE_FILE',
    trustDir: 'IN_TRUST_DIR', arguments: 'IN_ARGUMENTS'
  ]
  List environment = ['IN_SYSTEM=jenkins']
  List secrets = []
  for (entry in given) {
    if (entry.value == null) {
      continue // a variable that nobody set
    } else if (entry.key == 'key') {
      secrets.add(file(credentialsId: entry.value, variable: 'IN_KEY'))
    } else if (entry.key == 'passphrase') {
      secrets.add(string(credentialsId: entry.value, variable: 'IN_PASSPHRASE'))
    } else if (variables.containsKey(entry.key)) {
      boolean several = entry.value instanceof Collection || entry.value instanceof Object[]
      String text = several ? entry.value.findAll { it != null }.join('\n') : entry.value
      environment.add(variables[entry.key] + '=' + text)
    } else {
      error("notarypy: there is no ${entry.key}; there are: key, passphrase, ${variables.keySet().join(', ')}")
    }
  }
  String printed = ''
  withEnv(environment) {
    withCredentials(secrets) {
      printed = sh(script: libraryResource('notarypy/step.sh'), label: 'notarypy', returnStdout: true)
    }
  }
  return printed.trim()
}

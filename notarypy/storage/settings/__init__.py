"""What the user decided beforehand: options, environment, configuration file, trust policy.

What it is not: credentials (`remote.auth`) or passphrases (`keys.passphrases`). Read `settings` first.
"""

"""Private keys: their files, their passphrases and signing with them."""

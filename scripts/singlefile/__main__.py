"""What a Python runs that is given the single file.

It says so where that Python is too old for all the rest: nothing here may be newer than that.
"""

import sys

if sys.version_info < (3, 11):
    sys.stderr.write(
        "notarypy: error: this needs Python 3.11 or later, and %s is %d.%d\n"
        "  fix: name another one, if there is one: python3.11 %s ...\n"
        % (sys.executable, sys.version_info[0], sys.version_info[1], sys.argv[0])
    )
    sys.exit(2)

import notarypy_single_file

notarypy_single_file.start()

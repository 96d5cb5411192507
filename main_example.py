"""The template of the main script: copy it to main.py, fill it in, let cron run it.

La plantilla del script principal: cópiela a main.py, complétela y deje que cron la ejecute.

What is filled in here wins; what is blank is taken from the environment, then from a .env beside this file (keep
secrets there, readable by you alone). With nothing filled in anywhere it runs a demonstration on servers of its own.
Workers read the same names from their own environment or .env: see supervisord_config/README.md.
"""

import os
import sys

from udecdash_updater import DataUpdater, demonstrate_when_empty

VALUES = {
    # ---- PostgreSQL of the dashboard ("embedded" as DB_HOST starts a private one)
    "DB_HOST": "",
    "DB_PORT": "",
    "DB_NAME": "",
    "DB_USERNAME": "",
    "DB_PASSWORD": "",
    # ---- Canvas Data on disk
    "PATH_DATA_FILES": "",  # the dataFiles folder that canvasDataCli fills
    "PATH_CANVAS_CONFIG": "",  # the folder of its config.js
    "PATH_CONCAT": "",  # kept for scripts of the first updater; not used
    # ---- mail to the administrators (port 465: SMTPS; else STARTTLS where the server offers it)
    "SMTP_USER": "",
    "SMTP_PASS": "",
    "SMTP_HOST": "",
    "SMTP_PORT": "",
    "NOTIFICATION_EMAILS": os.pathsep.join([]),  # ["admin@example.cl", "data@example.cl"]
    # ---- what a night does ("True" or "False")
    "FIRST_DATA_UPDATE": "",  # True: do not compare request files with those loaded before
    "CLEAR_DIRECTORIES_BEFORE_DOWNLOAD": "",  # True: fetch every table anew, all but requests
    "ENABLE_DOWNLOAD": "",  # False: load what lies in PATH_DATA_FILES
    "FILE_EXTENSION": "",  # gz, or txt for what `canvasDataCli unpack` makes
    # ---- commands on this machine
    "SERVER_SUDO_PASSWORD": "",  # blank: supervisorctl without sudo
    "SERVER_SUPERVISORD_COMMAND_PATH": "",  # /usr/bin/supervisorctl
    "SERVER_CANVAS_DATA_CLI_COMMAND_PATH": "",  # /usr/local/bin/canvasDataCli
    # ---- the dashboard's front end (blank: no loading page)
    "FRONTEND_DIR": "",
}

os.environ.update({name: value for name, value in VALUES.items() if value.strip()})

if __name__ == "__main__":
    demonstrate_when_empty()  # delete this line in your main.py: a site that lost its settings must fail loudly
    sys.exit(DataUpdater().launch().exit_code)

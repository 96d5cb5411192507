"""The command line, as yargs 3 reads it in the original."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from .api import ApiError, served_folder
from .config import SAMPLE, Config, ConfigError, read
from .faults import HELP as FAULTS_HELP
from .faults import Faults
from .logger import LEVELS, Logger
from .sync import CrashError, Sync, dumps, fetch, grab
from .unpack import unpack

VERSION = "0.6.6"
COMMANDS = {
    "sync": "download the latest files from the API",
    "sampleConfig": "write a sample config file to config.js.sample",
    "unpack": "decompress and merge files into a single file",
    "fetch": "fetch a single table",
    "list": "list the dumps",
    "grab": "download one dump",
}
NEEDED = {
    "sync": ("config",),
    "unpack": ("config", "filter"),
    "fetch": ("config", "table"),
    "list": ("config",),
    "grab": ("config", "dump"),
}
OPTIONS = {
    "config": ("-c", "the configuration file to use", "string"),
    "filter": ("-f", "list of tables to unpack, ex: -f user_dim account_dim", "array"),
    "table": ("-t", "the table to fetch", "string"),
    "dump": ("-d", "the dump to download", "string"),
}
_LONG = {"-c": "config", "-f": "filter", "-t": "table", "-d": "dump", "-l": "level", "-v": "version", "-j": "json"}


@dataclass
class Arguments:
    """The words of the command line and the options among them."""

    words: list[str] = field(default_factory=list)
    options: dict[str, list[str]] = field(default_factory=dict)

    def last(self, name: str, default: str = "") -> str:
        """The value of an option that takes one."""
        return (self.options.get(name) or [default])[-1]


def parse(argv: list[str]) -> Arguments:
    """Read the arguments: -f takes all words up to the next option, others take one, flags none."""
    found = Arguments()
    waiting = ""
    for argument in argv:
        if argument.startswith("-") and len(argument) > 1:
            name, equals, value = argument.partition("=")
            waiting = _LONG.get(name, name.lstrip("-"))
            found.options.setdefault(waiting, []).extend([value] if equals else [])
            if equals or waiting in ("help", "version", "json"):
                waiting = ""
        elif waiting:
            found.options[waiting].append(argument)
            waiting = waiting if waiting == "filter" else ""
        else:
            found.words.append(argument)
    return found


def usage() -> str:
    """The help of the whole program."""
    width = max(map(len, COMMANDS))
    lines = ["npm <command>", "", "Commands:"]
    lines += [f"  {name.ljust(width)}  {text}" for name, text in COMMANDS.items()]
    lines += ["", "Options:"]
    levels = f"logging level to use, valid levels are {', '.join(LEVELS)}"
    lines += [f'  --level, -l    {levels}  [string] [default: "info"]']
    lines += ["  --help         Show help  [boolean]", "  -v, --version  Show version number  [boolean]", ""]
    return "\n".join(lines) + "\n"


def command_usage(command: str) -> str:
    """The help of one command."""
    lines = ["Options:"]
    for name in NEEDED.get(command, ()):
        short, text, kind = OPTIONS[name]
        lines.append(f"  --{name}, {short}  {text}  [{kind}] [required]")
    return "\n".join([*lines, "  --help        Show help  [boolean]", ""]) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit code."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    command = arguments.words[0] if arguments.words else ""
    if "version" in arguments.options or "help" in arguments.options:
        helped = command_usage(command) if command in NEEDED else usage() + FAULTS_HELP
        return _print(VERSION + "\n" if "version" in arguments.options else helped)
    if not command:
        return _fail(usage() + "\nmust provide a valid command")
    if command not in COMMANDS:
        return _fail("invalid command\n" + usage())
    missing = [name for name in NEEDED.get(command, ()) if name not in arguments.options]
    if missing:
        plural = "s" if len(missing) > 1 else ""
        return _fail(f"{command_usage(command)}\nMissing required argument{plural}: {', '.join(missing)}")
    logger = Logger(arguments.last("level", "info"))
    return _sample(logger) if command == "sampleConfig" else _with_config(command, arguments, logger)


def _with_config(command: str, arguments: Arguments, logger: Logger) -> int:
    path = Path(os.path.normpath(Path.cwd() / arguments.last("config")))
    if not path.exists():
        return _fail(f"config file at {path} does not exist")
    try:
        config = read(path)
    except (ConfigError, OSError, UnicodeDecodeError) as error:
        return _fail(f"{path}\n\nSyntaxError: {error}\n")
    if missing := config.missing():
        return _fail(f"config at {path} is invalid\nmissing {', '.join(missing)} fields in config")
    try:
        done = _run(command, arguments, config, logger)
    except (ApiError, ConnectionError) as error:
        return _fail(f"an error occured\n{error}")
    except CrashError as error:
        return _fail(f"{error}\n\nNode.js v20.20.2")
    if done:
        logger.info(f"{command} command completed successfully")
    return 0


def _run(command: str, arguments: Arguments, config: Config, logger: Logger) -> bool:
    """Whether the command tells of its success: unpack never does."""
    if command == "unpack":
        unpack(config, logger, arguments.options["filter"], Faults.of(served_folder(config), command))
        return False
    if command == "sync":
        Sync(config, logger).run()
    elif command == "fetch":
        fetch(config, logger, arguments.last("table"))
    elif command == "grab":
        grab(config, logger, arguments.last("dump"))
    elif "json" in arguments.options:
        logger.info(json.dumps(dumps(config)))
        return False
    else:
        for dump in dumps(config):
            logger.info("\n".join(f"{name}: [ {value} ]" for name, value in dump.items()))
    return True


def _sample(logger: Logger) -> int:
    logger.info(SAMPLE)
    logger.info("was written to config.js")
    Path("config.js.sample").write_text(SAMPLE, encoding="utf-8")
    logger.info("sampleConfig command completed successfully")
    return 0


def _print(text: str) -> int:
    sys.stdout.write(text)
    return 0


def _fail(text: str) -> int:
    sys.stderr.write(text + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

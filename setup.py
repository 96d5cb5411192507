"""Lets `python setup.py sdist` work; everything is declared in pyproject.toml."""

from setuptools import setup

setup()

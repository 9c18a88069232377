"""A program of checks/readers, in the environment that has the packages: a line of JSON for each line of JSON."""

import json
import subprocess

from framework import Trouble


class Reader:
    def __init__(self, tools, program, *arguments):
        self.name = program.name
        command = [tools.python, program, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Trouble(f"the reader {self.name} has ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

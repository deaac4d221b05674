#!/usr/bin/env python3
"""Usage, help, exit code 2, and the documents made from the table of commands."""
import json
import os
import re
import subprocess

from command_case import STRID, CommandCase, main

DOCS = os.environ.get("STRID_DOCS", os.path.join(os.path.dirname(__file__), "../../../docs"))


class Usage(CommandCase):
    def refused(self, *words):
        done = self.strid(*words, code=2)
        self.assertEqual(done.out, "")
        self.assertTrue(done.err.startswith("strid: "), done.err)
        return done.err

    def test_no_command(self):
        self.assertIn("strid help", self.refused())

    def test_unknown_command_names_the_nearest(self):
        self.assertIn("did you mean 'strid run'", self.refused("rum", "x.yaml"))
        self.assertIn("did you mean 'strid state scan'", self.refused("state", "scna", "x"))
        self.assertIn("did you mean 'strid status'", self.refused("stat", "x.yaml"))

    def test_half_a_command(self):
        self.assertIn("strid help state", self.refused("state"))
        everything = self.strid("help", "state").out
        self.assertEqual(self.strid("state", "--help").out, everything)
        self.assertEqual(self.strid("state", "-h").out, everything)
        self.assertEqual(self.strid("nothing", "--help", code=2).out, "")

    def test_unknown_flag_names_the_nearest(self):
        self.assertIn("did you mean --workers?", self.refused("run", "x.yaml", "--worker", "2"))
        self.assertIn("did you mean --json?", self.refused("check", "x.yaml", "--jsno"))
        self.assertIn("did you mean --dry-run?", self.refused("dlq", "purge", "x.yaml", "--dry"))

    def test_flag_of_another_command(self):
        self.assertIn("no flag --store", self.refused("run", "x.yaml", "--store", "a"))

    def test_bad_values(self):
        for value in ("0", "65", "two", "1x", ""):
            self.assertIn("from 1 to 64", self.refused("run", "x.yaml", "--workers", value))
        self.assertIn("did you mean warn?", self.refused("version", "--log-level", "wran"))
        self.assertIn("needs a value", self.refused("run", "x.yaml", "--workers"))
        self.assertIn("takes no value", self.refused("version", "--json=yes"))

    def test_flag_that_is_given_twice(self):
        for words in (("--type", "a", "--type", "b"), ("--limit", "1", "--limit=1"),
                      ("--log-level", "warn", "--log-level", "warn")):
            err = self.refused("dlq", "list", "x.yaml", *words)
            self.assertIn(f"{words[0]} is given twice: see 'strid help dlq list'", err)
        err = self.refused("consume", "file:x", "-o", "1", "--offset", "e@5", "-o", "2")
        self.assertIn("--offset is given three times", err)

    def test_missing_and_surplus_arguments(self):
        self.assertIn("needs FILE", self.refused("run"))
        self.assertIn("too much", self.refused("run", "a.yaml", "b.yaml"))
        self.assertIn("needs --store", self.refused("state", "get", "rocksdb:x", "--key", "a"))

    def closed(self, words, streams, code):
        """Runs a command with standard streams closed, written as the shell does."""
        done = subprocess.run(["sh", "-c", f'exec "$0" "$@" {streams}', STRID, *words],
                              cwd=self.folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def test_closed_input_is_no_file_that_is_opened_later(self):
        self.write("out.jsonl", '"mine"\n')
        self.assertIn("standard input cannot be read: Bad file descriptor",
                      self.closed(["produce", "file:out.jsonl"], "<&-", 1))
        with open(self.path("out.jsonl"), encoding="utf-8") as file:
            self.assertEqual(file.read(), '"mine"\n')

    def test_closed_outputs_are_no_files_that_are_opened_later(self):
        self.write("in.jsonl", "{}\n")
        self.write("p.yaml", "name: p\nsource: file:in.jsonl\nstate: rocksdb:./state\n"
                   "handlers: [ { forward: { to: out } } ]\nsink: { out: file:out.jsonl }\n")
        self.closed(["run", "p.yaml", "--log-level", "debug"], "<&- >&- 2>&-", 0)
        self.assertIn("standard output could not be written: Bad file descriptor",
                      self.closed(["run", "p.yaml", "--json"], "<&- >&-", 1))
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read()
                self.assertNotIn(b" debug rocksdb: ", text, name)

    def test_missing_file(self):
        self.assertIn("none.yaml", self.refused("run", "none.yaml"))

    def test_help(self):
        text = self.strid("help").out
        for name in ("run", "check", "state scan", "dlq list", "version", "--json", "Exit codes"):
            self.assertIn(name, text)
        self.assertEqual(self.strid("--help").out, text)
        one = self.strid("help", "state", "get").out
        self.assertIn("strid state get URL|FILE --store STORE --key KEY", one)
        self.assertEqual(self.strid("state", "get", "--help").out, one)
        self.assertIn("state stats", self.strid("help", "state").out)
        self.strid("help", "nothing", code=2)

    def test_what_only_a_program_can_feed_or_take_is_refused(self):
        handler = "handlers: [ { forward: { to: out } } ]\n"
        for source, sink, said in (
                ("memory:in", "file:out", "give records to its source memory:in"),
                ("generator:", "memory:m", 'take the outputs of its sink "out"')):
            self.write("p.yaml", f'name: p\nsource: "{source}"\n{handler}'
                                 f"sink: {{ out: '{sink}' }}\n")
            for verb in ("check", "run"):
                self.assertIn(said, self.refused(verb, "p.yaml"))
        done = self.strid("produce", "memory:m", given="lost\n", code=2)
        self.assertIn("memory:m: nobody could take what a producer sends to memory:", done.err)

    def test_defaults_stand_in_help_document_and_manual_page(self):
        for words, flag, fallback in ((("run",), "log-level", "info"),
                                      (("run",), "log-format", "text"),
                                      (("produce",), "input", "lines"),
                                      (("help",), "format", "text")):
            text = " ".join(self.strid("help", *words).out.split())
            found = re.search(rf"--{flag} .*? Default: (\w+)\.", text)
            self.assertEqual(found and found[1], fallback, f"--{flag} of {words[0]}")
        self.assertEqual(self.strid("help", "--format", "man").out.count("Default: "),
                         self.strid("help", "--format", "markdown").out.count("Default: "))

    def test_flag_in_place_of_a_command(self):
        self.assertIn("strid COMMAND --json", self.refused("--json", "version"))
        self.assertIn("strid COMMAND -J", self.refused("-J"))

    def test_pipeline_without_a_queue_for_dead_letters_is_told_how_to_name_one(self):
        self.write("p.yaml", 'name: p\nsource: "generator:"\n'
                             "handlers: [ { count: { store: n } } ]\n")
        for words in (("list",), ("purge", "--all", "--yes"), ("replay", "--all", "--yes")):
            err = self.strid("dlq", words[0], "p.yaml", *words[1:], code=1).err
            self.assertIn("p has no dead-letter queue; `dlq: { url: ... }` would name one", err)

    def test_version(self):
        number = self.strid("version").out.split()[1]
        self.assertRegex(number, r"^\d+\.\d+\.\d+$")
        self.assertEqual(json.loads(self.strid("version", "--json").out), {"version": number})
        self.assertEqual(self.strid("--version").out, f"strid {number}\n")

    def test_standard_output_that_is_full(self):
        if not os.path.exists("/dev/full"):
            self.fail("/dev/full is needed")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([STRID, "help"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"standard output could not be written", done.stderr)

    def test_messages_as_json_and_logfmt(self):
        done = self.strid("check", "none.yaml", "--log-format", "json", code=2)
        line = json.loads(done.err)
        self.assertEqual((line["level"], line["logger"]), ("error", "strid"))
        self.assertIn("none.yaml", line["message"])
        done = self.strid("check", "none.yaml", "--log-format=logfmt", code=2)
        self.assertRegex(done.err, r'^ts=\S+Z level=error logger=strid msg=".*none\.yaml')

    def test_documents_are_those_of_the_table(self):
        for form, name in (("markdown", "cli.md"), ("man", "strid.1")):
            with open(os.path.join(DOCS, name), encoding="utf-8") as file:
                self.assertEqual(file.read(), self.strid("help", "--format", form).out,
                                 f"run: strid help --format {form} > docs/{name}")


if __name__ == "__main__":
    main()

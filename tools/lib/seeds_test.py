#!/usr/bin/env python3
"""Shows that tools/seeds names what failed, by itself at the end, and can stop there. The program
is a stand-in of which some parts fail; once the simulator (STRID_SIM), with a known defect."""
import os
import pathlib
import subprocess
import tempfile
import textwrap
import unittest

SEEDS = pathlib.Path(__file__).resolve().parent.parent / "seeds"
STAND_IN = """\
#!/bin/sh
# $1 --first, $2 F, $3 --seeds, $4 COUNT
echo "$2" >> {folder}/begun
case "$2" in
{cases}
esac
echo "$4 seeds from $2, trace 00"
echo "   7 kills"
"""


class Seeds(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.folder = pathlib.Path(place.name)

    def program(self, text):
        path = self.folder / "sim"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        path.chmod(0o755)
        return path

    def stand_in(self, cases):
        return self.program(STAND_IN.format(folder=self.folder, cases=cases))

    def run_seeds(self, program, *words):
        done = subprocess.run([SEEDS, "--program", program, "--jobs", "1", *words],
                              capture_output=True, text=True, timeout=100, check=False)
        return done.returncode, done.stdout.splitlines(), done.stderr.splitlines()

    def begun(self):
        return (self.folder / "begun").read_text(encoding="utf-8").split()

    def test_parts_that_are_well_have_a_line_each(self):
        code, out, err = self.run_seeds(self.stand_in(""), "--first", "501", "--seeds", "2500")
        self.assertEqual(code, 0)
        self.assertEqual(out[:3], [f"{count} seeds from {first}, trace 00"
                                   for first, count in ((501, 1000), (1501, 1000), (2501, 500))])
        self.assertEqual(err, ["seeds: 0 of 3 parts failed"])
        self.assertEqual(self.begun(), ["501", "1501", "2501"])

    def test_parts_that_fail_are_named_at_the_end_and_the_others_run(self):
        program = self.stand_in('1001) echo "others\nsim: seed 1234: broken" >&2; exit 3;;\n'
                                "3001) kill -9 $$;;")
        code, out, err = self.run_seeds(program, "--seeds", "4500")
        self.assertEqual(code, 1)
        self.assertEqual([line for line in out if "1001" in line or "3001" in line], [])
        self.assertEqual(len(out), 3 + 1)
        self.assertEqual(self.begun(), ["1", "1001", "2001", "3001", "4001"])
        self.assertIn("seeds: the part --first 1001 --seeds 1000 failed:", err[:-3])
        self.assertIn("others", err[:-3])
        self.assertEqual(err[-3:], [
            "seeds: failed: --first 1001 --seeds 1000: sim: seed 1234: broken",
            "seeds: failed: --first 3001 --seeds 1000: ended with -9 and said nothing",
            "seeds: 2 of 5 parts failed"])

    def test_stop_ends_at_the_first_one(self):
        program = self.stand_in("[12]001) echo broken >&2; exit 3;;")
        code, _, err = self.run_seeds(program, "--seeds", "5000", "--stop")
        self.assertEqual(code, 1)
        self.assertEqual(self.begun(), ["1", "1001"])
        self.assertEqual(err[-2:], ["seeds: failed: --first 1001 --seeds 1000: broken",
                                    "seeds: 1 of 5 parts failed, 3 did not run to their end"])

    def test_an_interrupt_still_tells_what_failed(self):
        program = self.stand_in("1) echo broken >&2; exit 3;;\n1001) kill -INT $PPID; exit 0;;")
        code, _, err = self.run_seeds(program, "--seeds", "99000")
        self.assertEqual(code, 1)
        self.assertEqual(err[-2], "seeds: failed: --first 1 --seeds 1000: broken")
        self.assertRegex(err[-1], r"^seeds: 1 of 99 parts failed, \d+ did not run to their end$")

    def test_a_program_that_is_not_there(self):
        code, _, err = self.run_seeds(self.folder / "none")
        self.assertEqual(code, 2)
        self.assertIn("none is no program", err[-1])

    @unittest.skipUnless("STRID_SIM" in os.environ, "needs a build")
    def test_the_simulator_and_a_known_defect(self):
        sim = os.environ["STRID_SIM"]
        code, out, err = self.run_seeds(sim, "--first", "5", "--seeds", "8")
        self.assertEqual((code, err), (0, ["seeds: 0 of 1 parts failed"]))
        self.assertTrue(out[0].startswith("8 seeds from 5, trace "), out)
        defect = self.program(f'#!/bin/sh\nexec {sim} --mutant 10 "$@"\n')
        code, _, err = self.run_seeds(defect, "--seeds", "50")
        self.assertEqual(code, 1)
        self.assertRegex(err[-2], r"^seeds: failed: --first 1 --seeds 50: sim: seed \d+, step \d+")


if __name__ == "__main__":
    unittest.main()

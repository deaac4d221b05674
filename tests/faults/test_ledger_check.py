#!/usr/bin/env python3
"""Does the checker bite? A right run is made by hand from the reference; each defect that the
ledger is there for is then put into it and has to be found."""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

import ledger
import ledger_check

LEDGER = None
EVERY = 3


class CheckerTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name)
        subprocess.run([LEDGER, "generate", "--dir", self.path, "--seed", "6", "--records", "3000",
                        "--files", "2", "--keys", "40", "--padding", "60", "--harsh", "1"],
                       check=True)
        self.reference = ledger_check.Reference(self.path, EVERY)
        self.lows = list(self.reference.sizes)
        self.chains = {}
        for (key, partition), links in self.reference.chains.items():
            _, total, last, value = links[-1]
            parts = self.chains.setdefault(key, [(0, 0, 0, 0)] * 2)
            parts[partition] = (len(links), total, last, value)
        self.counts = {key: sum(part[0] for part in parts) for key, parts in self.chains.items()}
        self.outputs = [{"id": f"o/{place}", "key": key, "value": dict(value)}
                        for place, (key, value) in self.reference.outputs.items()]
        self.dead = [{"id": f"d/{place}", "partition": place[0], "position": place[1],
                      "reason": "not_json" if fate == "broken" else
                                ledger_check.REASONS[fate][0],
                      "attempts": ledger_check.ATTEMPTS[fate],
                      "value_base64": ledger_check.base64.b64encode(line).decode()}
                     for place, (line, fate) in self.reference.dead.items()]
        self.waiting = []
        self.letters = []

    def wait_for_queue(self, count):
        """The last letters are in the outbox and not yet outside."""
        for item in self.dead[-count:]:
            value = ledger_check.base64.b64decode(item["value_base64"])
            self.letters.append({"whole": True, "partition": item["partition"],
                                 "position": item["position"], "reason": item["reason"],
                                 "attempts": item["attempts"],
                                 "hex": value.hex()})
        del self.dead[-count:]

    def tearDown(self):
        self.folder.cleanup()

    def findings(self, partial=False, torn=0):
        lines = [{"partition": f"/in/part-{i}.jsonl", "low": low}
                 for i, low in enumerate(self.lows)]
        lines += [{"store": "chains", "key": key,
                   "hex": b"".join(struct.pack("<QqQQ", *part) for part in parts).hex()}
                  for key, parts in self.chains.items()]
        lines += [{"store": "counts", "key": key, "value": value}
                  for key, value in self.counts.items()]
        lines += self.waiting
        lines += [{"waits": letter} for letter in self.letters]
        for name, items in (("out.jsonl", self.outputs), ("dead.dlq", self.dead)):
            text = "".join(item if isinstance(item, str) else json.dumps(item) + "\n"
                           for item in items)
            (self.path / name).write_text(text)
        dump = "\n".join(json.dumps(line) for line in lines)
        return ledger_check.Verdict(self.reference, dump, partial, torn).run(self.path)

    def set_chain(self, count):
        """Key and partition 0 as after `count` entries."""
        key = next(iter(self.chains))
        links = self.reference.chains[key, 0]
        self.counts[key] += count - self.chains[key][0][0]
        self.chains[key][0] = (count, *links[count - 1][1:])
        return key, links

    def test_hash_is_that_of_the_specification(self):
        text = b"Nobody inspects the spammish repetition"
        self.assertEqual(ledger_check.xxh64(b"", 0), 0xEF46DB3751D8E999)
        self.assertEqual(ledger_check.xxh64(text, 0), 0xFBCEA83C8A378BF1)

    def test_right_run_passes(self):
        self.assertGreater(len(self.reference.dead), 30)
        self.assertGreater(len(self.reference.outputs), 500)
        self.assertEqual(self.findings(), [])

    def test_repeats_with_the_same_id_pass(self):
        self.outputs.append(dict(self.outputs[0]))
        self.dead.append(dict(self.dead[0]))
        self.assertEqual(self.findings(), [])

    def test_lost_entry(self):
        self.set_chain(2)
        self.assertIn("is lost", self.findings()[0])

    def test_entry_counted_twice(self):
        key, links = self.set_chain(2)
        self.counts[key] += 1
        self.chains[key][0] = (3, *links[1][1:])
        self.assertEqual(len(self.findings(partial=True)), 2)

    def test_entries_overtaken(self):
        key, links = self.set_chain(2)
        line = b"x"
        self.chains[key][0] = (2, links[1][1], links[1][2], ledger_check.xxh64(line, 7))
        self.assertTrue(any("hash" in text for text in self.findings(partial=True)))

    def test_stores_that_disagree(self):
        self.counts[next(iter(self.counts))] += 1
        self.assertIn("in the other", self.findings()[0])

    def test_prefix_passes_only_behind_the_low_position(self):
        key, links = self.set_chain(2)
        self.lows[0] = links[2][0]
        self.assertEqual(self.findings(partial=True), [])
        self.lows[0] = links[2][0] + 1
        self.assertIn(key, self.findings(partial=True)[0])

    def test_low_position_short_of_the_end(self):
        self.lows[1] -= 1
        self.assertEqual(len(self.findings()), 1)
        self.assertEqual(self.findings(partial=True), [])

    def test_lost_output_and_lost_dead_letter(self):
        self.outputs.pop()
        self.dead.pop()
        self.assertEqual(len(self.findings()), 2)

    def test_foreign_or_changed_output(self):
        self.outputs[0]["value"]["count"] += 1
        self.assertTrue(any("no output" in text for text in self.findings()))

    def test_same_output_with_two_ids(self):
        self.outputs.append(dict(self.outputs[0], id="other"))
        self.assertEqual(len(self.findings()), 1)

    def test_one_id_for_two_outputs(self):
        self.outputs[0]["id"] = self.outputs[1]["id"]
        self.assertEqual(len(self.findings()), 1)

    def test_letters_in_the_outbox(self):
        self.wait_for_queue(3)
        self.assertEqual(self.findings(partial=True), [], "they wait, and the run goes on")
        self.assertEqual(len(self.findings()), 3, "they may not wait at the end")
        self.letters.pop()
        self.assertEqual(len(self.findings(partial=True)), 1, "one is lost")
        self.letters[0]["hex"] = "00"
        self.assertEqual(len(self.findings(partial=True)), 3, "one is another")
        self.letters[1]["whole"] = False
        self.assertEqual(len(self.findings(partial=True)), 4, "one is damaged")

    def test_dead_letter_with_changed_bytes_or_wrong_reason(self):
        self.dead[0]["value_base64"] = "AAAA"
        self.dead[1]["reason"] = "because"
        self.assertEqual(len(self.findings()), 3)  # the first one is lost, too

    def test_dead_letter_after_another_number_of_attempts(self):
        self.dead[0]["attempts"] += 1
        self.assertEqual(len(self.findings()), 1)

    def letters_of(self, fate):
        return [item for item in self.dead if
                self.reference.dead[item["partition"], item["position"]][1] == fate]

    def test_outcome_that_never_came_is_dead_lettered_as_such(self):
        lost = self.letters_of("lost")
        self.assertGreater(len(lost), 0)
        self.assertEqual({item["reason"] for item in lost}, {"attempts_exhausted: timeout"})
        lost[0]["reason"] = "attempts_exhausted: ledger: wanted"
        self.assertEqual(len(self.findings()), 1)

    def test_what_another_thread_says_is_no_other_fate(self):
        late = [place for place, line in self.reference.lines_at.items() if b'"late-' in line]
        self.assertGreater(len(late), 200)
        self.assertEqual({self.reference.fates[place] for place in late},
                         {"done", "skip", "retry", "reject", "exhaust"})

    def wait(self, count):
        """The last `count` entries of a key and partition wait; the first of them failed."""
        links = next(links for (_, partition), links in self.reference.chains.items()
                     if partition == 0 and
                     self.reference.fates[0, links[-count][0]] == "retry")
        key = next(key for (key, _), own in self.reference.chains.items() if own is links)
        left = links[:-count]
        self.counts[key] -= count
        self.chains[key][0] = (len(left), *left[-1][1:])
        self.outputs = [item for item in self.outputs
                        if (item["value"]["partition"], item["value"]["position"]) not in
                        {(0, link[0]) for link in links[-count:]}]
        self.waiting = [{"store": "head", "key": key, "first": 5, "last": 4 + count, "attempts": 1}]
        for seq, link in enumerate(links[-count:], 5):
            line = self.reference.lines_at[0, link[0]].decode()
            self.waiting.append({"store": "waiting", "key": key, "seq": seq, "position": link[0],
                                 "topic": "/in/part-0.jsonl", "bytes": line})

    def test_records_that_wait_are_not_lost(self):
        self.wait(2)
        self.assertEqual(self.findings(partial=True), [])
        self.assertEqual(len(self.findings()), 1)  # at the end nothing waits

    def test_one_of_those_that_wait_is_lost(self):
        self.wait(2)
        self.waiting.pop()
        self.waiting[0]["last"] -= 1
        self.assertIn("is lost", self.findings(partial=True)[0])

    def test_done_and_waiting(self):
        self.wait(2)
        entry = self.waiting[2]
        key, links = entry["key"], self.reference.chains[entry["key"], 0]
        self.counts[key] += 2
        self.chains[key][0] = (len(links), *links[-1][1:])
        self.assertTrue(any("waits, and" in text for text in self.findings(partial=True)))

    def test_waits_twice_or_behind_a_later_one(self):
        self.wait(2)
        self.waiting[2] = dict(self.waiting[1], seq=6)
        texts = self.findings(partial=True)
        self.assertTrue(any("twice" in text for text in texts))
        self.assertTrue(any("behind a later record" in text for text in texts))

    def test_head_that_disagrees(self):
        self.wait(2)
        right = self.waiting[0]
        for change in ({"attempts": 2}, {"last": 7}, {"damaged": True}):
            self.waiting[0] = dict(right, **change)
            self.assertEqual(len(self.findings(partial=True)), 1, change)

    def test_other_bytes_wait(self):
        self.wait(2)
        self.waiting[1]["bytes"] += " "
        self.assertIn("not the bytes", self.findings(partial=True)[0])

    def test_torn_lines_are_allowed_once_a_kill(self):
        self.outputs.insert(5, '{"id":"o/(0\n')
        self.assertEqual(self.findings(torn=1), [])
        self.assertEqual(len(self.findings(torn=0)), 1)


class ExtraTest(unittest.TestCase):
    """What a further store holds follows from the count of done records."""

    def check(self, store, count, right, wrong):
        for seen in right:
            self.assertTrue(ledger_check.EXTRAS[store](count, seen), (store, count, seen))
        for seen in wrong:
            self.assertFalse(ledger_check.EXTRAS[store](count, seen), (store, count, seen))

    def test_recent_is_the_newest_or_gone(self):
        self.check("recent", 7, ([], [7]), ([6], [8], [-1], [7, 7]))

    def test_large_is_the_last_that_was_written(self):
        self.check("large", 63, ([],), ([64], [-2]))
        self.check("large", 130, ([128],), ([], [64], [130], [-2]))

    def test_window_is_the_last_counts(self):
        self.check("window", 0, ([],), ([1],))
        self.check("window", 3, ([1, 2, 3], [3, 1, 2]), ([], [1, 2], [1, 2, 3, 4], [1, 2, -2]))
        self.check("window", 20, (list(range(13, 21)),), (list(range(12, 21)), list(range(14, 21))))

    def test_findings_name_store_and_key(self):
        reference = ledger_check.Reference("/nowhere", 0)
        dump = '{"blocks":9,"materialised":4}\n{"store":"counts","key":"k","value":3}\n' \
               '{"store":"window","key":"k","value":2}\n{"store":"window","key":"k","value":3}'
        verdict = ledger_check.Verdict(reference, dump, True, 0)
        self.assertEqual((verdict.blocks, verdict.materialised), (9, 4))
        verdict.check_extra("window")
        self.assertEqual(verdict.findings, ["key k: window holds [2, 3] after 3 entries"])


class CountingTest(unittest.TestCase):
    """Only a kill in the midst of progress counts."""

    def test_progress_inside_of_the_input_that_has_grown(self):
        self.assertTrue(ledger.counts(True, 0, 1, 100))
        self.assertTrue(ledger.counts(True, 98, 99, 100))

    def test_nothing_else(self):
        for killed, before, now in ((False, 0, 50), (True, 0, 0), (True, 50, 50), (True, 50, 100)):
            self.assertFalse(ledger.counts(killed, before, now, 100), (killed, before, now))


if __name__ == "__main__":
    LEDGER = sys.argv.pop(1)
    unittest.main()

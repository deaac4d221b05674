#!/usr/bin/env python3
"""Shows that each rule of lint.py bites: a tree with one fault each, and a clean one."""
import os
import shutil
import tempfile
import unittest

import lint

HERE = os.path.dirname(os.path.abspath(__file__))
CLEAN = "#include <stddef.h>\n\nint sample_add(int a, int b) { return a + b; }\n"


class LintTest(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="strid-lint-")
        self.addCleanup(shutil.rmtree, self.root)
        shutil.copy(os.path.join(HERE, "../../.clang-format"), self.root)
        self.write("engine/base/buffer.h", "#include <stddef.h>\n")
        self.write("engine/concurrent/ring.h", '#include "base/buffer.h"\n')
        self.write("engine/pipeline/definition.h", '#include "base/buffer.h"\n')
        self.write("engine/runtime/chunk.h", '#include "pipeline/definition.h"\n')
        self.write("state/store.h", '#include "concurrent/ring.h"\n')
        self.write("state/rocksdb/rocksdb_store.h", '#include "state/store.h"\n')
        self.write("connectors/file/file_source.h", '#include "base/buffer.h"\n')

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def assert_bites(self, path, text, expected):
        self.write(path, text)
        faults = lint.Lint(self.root).run()
        self.assertTrue(any(path in fault and expected in fault for fault in faults),
                        f"no '{expected}' in {faults}")

    def test_clean_tree_is_fine(self):
        self.write("engine/base/sample.c", CLEAN)
        self.write("tests/unit/test_sample.c", '#include "engine/base/buffer.h"\n')
        self.assertEqual(lint.Lint(self.root).run(), [])

    def test_long_file(self):
        self.assert_bites("engine/base/sample.c", "int sample_x;\n" * 501, "501 lines")

    def test_long_public_header(self):
        self.assert_bites("engine/include/strid/x.h", "extern int strid_x;\n" * 401, "401 lines")

    def test_long_script(self):
        self.assert_bites("tools/lint/x.py", "pass\n" * 501, "501 lines")

    def test_long_function(self):
        body = "    sample_x();\n" * 68
        self.assert_bites("engine/base/sample.c", "void sample(void)\n{\n" + body + "}\n",
                          "function of 71 lines")

    def test_function_at_the_limit(self):
        self.write("engine/base/sample.c",
                   "void sample(void)\n{\n" + "    sample_x();\n" * 67 + "}\n")
        self.assertEqual(lint.Lint(self.root).run(), [])

    def test_long_line(self):
        self.assert_bites("engine/base/sample.c", "/* " + "x" * 100 + " */\n", "columns")

    def test_base_includes_upwards(self):
        self.assert_bites("engine/base/sample.c", '#include "concurrent/ring.h"\n',
                          "engine/base may not include engine/concurrent")

    def test_concurrent_includes_pipeline(self):
        self.assert_bites("engine/concurrent/sample.c", '#include "pipeline/definition.h"\n',
                          "may not include engine/pipeline")

    def test_state_includes_runtime(self):
        self.assert_bites("state/sample.c", '#include "runtime/chunk.h"\n', "may not include")

    def test_state_includes_a_backend(self):
        self.assert_bites("state/sample.c", '#include "state/rocksdb/rocksdb_store.h"\n',
                          "may not include state/rocksdb")

    def test_connector_includes_pipeline(self):
        self.assert_bites("connectors/file/sample.c", '#include "pipeline/definition.h"\n',
                          "may not include engine/pipeline")

    def test_runtime_includes_a_connector(self):
        self.assert_bites("engine/runtime/sample.c",
                          '#include "connectors/file/file_source.h"\n', "may not include")

    def test_runtime_includes_a_backend(self):
        self.assert_bites("engine/runtime/sample.c",
                          '#include "state/rocksdb/rocksdb_store.h"\n', "may not include")

    def test_tool_includes_the_runtime(self):
        self.assert_bites("tools/strid/sample.c", '#include "runtime/chunk.h"\n',
                          "may not include")

    def test_public_header_includes_an_internal_one(self):
        self.assert_bites("engine/include/strid/x.h", '#include "base/buffer.h"\n',
                          "public headers include only")

    def test_unknown_include(self):
        self.assert_bites("engine/base/sample.c", '#include "nowhere.h"\n', "no file of ours")

    def test_banned_functions(self):
        for name in ("strcpy", "strcat", "sprintf", "gets", "strtok", "atoi", "alloca", "rand",
                     "signal"):
            self.assert_bites("engine/base/sample.c", f"int sample(void) {{ return {name}(0); }}\n",
                              f"banned function {name}")

    def test_names_in_comments_and_strings_are_no_calls(self):
        self.write("engine/base/sample.c", '/* not strcpy(a) */\nconst char *sample = "atoi(x)";\n')
        self.assertEqual(lint.Lint(self.root).run(), [])

    def test_naked_malloc(self):
        self.assert_bites("engine/runtime/sample.c", "void *sample(void) { return malloc(1); }\n",
                          "naked malloc")

    def test_sleep_in_tests(self):
        self.assert_bites("tests/unit/test_x.c", "void sample(void) { usleep(1); }\n", "no sleeps")

    def test_ck_outside_concurrent(self):
        self.assert_bites("engine/runtime/sample.c", "#include <ck_ring.h>\n", "ck belongs")

    def test_unfinished_work(self):
        self.assert_bites("engine/base/sample.c", "/* TO" + "DO later */\n", "unfinished")

    def test_formatting(self):
        self.assert_bites("engine/base/sample.c", "int  sample( int a );\n", "not formatted")

    def test_missing_newline_at_the_end(self):
        self.assert_bites("engine/base/sample.c", "int sample;", "no newline")


if __name__ == "__main__":
    unittest.main()

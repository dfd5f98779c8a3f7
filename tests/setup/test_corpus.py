"""Tests of models/corpus/build.py and powershell.py: what they take from files and documents."""

import sys
import unittest
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "models" / "corpus"
sys.path.insert(0, str(CORPUS))

DOCUMENT = r"""
```powershell
Get-Item $path |
    Remove-Item
```

```PowerShell
PS C:\> Get-Date -Format o
2026-11-30T22:40:44
PS> $all = @(
PS C:\Users\me> git status
On branch main
```

```powershell
Get-Item [-Path] <string[]> [[-Filter] <string>]
Get-Item [-Force] [<CommonParameters>]
```

```azurecli-interactive
az vm create \
  --name vm --image Debian
# a comment
```

```json
{}
```
"""


@unittest.skipIf(sys.version_info < (3, 11), "the scripts need Python 3.11")
class Corpus(unittest.TestCase):
    def test_a_document_gives_its_scripts_and_what_stands_behind_prompts(self):
        from powershell import examples

        scripts = ["Get-Item $path |\n    Remove-Item", "Get-Date -Format o", "git status"]
        native = "az vm create --name vm --image Debian"
        self.assertEqual(list(examples(DOCUMENT)), [(text, False) for text in scripts] + [(native, True)])

    def test_only_files_indented_by_fours_are_given_tabs(self):
        from build import TABBED, tabbed

        fours = "def f(a):\n    if a:\n        return a\n"
        texts = [fours, "if a:\n  b()\n", "if a:\n\tb()\n", "a = 1\n", fours + 'f("""\n  x""")\n', fours]
        files = [(str(idx), text) for idx, text in enumerate(texts) for _ in range(TABBED)]
        tabs = "def f(a):\n\tif a:\n\t\treturn a\n"
        self.assertEqual(tabbed(files), [("0", tabs), ("5", tabs, "mix_tabs")])


if __name__ == "__main__":
    unittest.main()

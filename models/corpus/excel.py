#!/usr/bin/env python3
"""Build the training corpus of correct Excel formulas.

    excel.py --formulas FILE.jsonl --out DIR [--bench DIR] [--n 240000] [--seed 1]

reads real formulas ({"text": "=..."} a line; `excel.toml` names where they are from) and writes DIR/excel.formulas.jsonl.zst and
DIR/excel.manifest.json. Most real formulas that can be published are test cases of spreadsheet
programs: one call, literal arguments. What people ask about in forums is longer: conditions in
conditions, look-ups in look-ups. So the corpus has three parts of rows:

    real        the formulas as they are
    recombined  a real formula in which arguments were exchanged for arguments of the same kind
                that some other real formula gave to the same place of the same function
    composed    drawn from the signatures below, which say what kind of thing each argument is

Formulas equal to a benchmark text (BENCH/*.jsonl, keys broken and fixed; blanks and case apart) are
left out. Whether a formula is right is decided later by the judge of the language pack, which refuses
some of the real ones. Needs `pip install zstandard`.
"""

import argparse
import hashlib
import json
import random
import re
from pathlib import Path

import zstandard

# Kinds: b condition, n number, i small whole number, S rows that meet a condition, t text, d date, r range, c cell, a anything,
# k criterion, f format, u unit of dates, m match mode, x array expression. `?` may be left out with
# all that follow, `*` repeats the last group in brackets.
SIGNATURES = """
IF 60 b,a,a | b,a
IFERROR 14 a,a
AND 12 b,b,(b)*
OR 10 b,b,(b)*
NOT 3 b
IFS 3 b,a,b,a,(b,a)*
SWITCH 1 c,t,a,t,a,a
SUM 16 r,(r)* | n,(n)* | r
AVERAGE 5 r | r,(r)*
MIN 5 r | n,n | n,(n)*
MAX 6 r | n,n | n,(n)*
COUNT 4 r
COUNTA 4 r
COUNTBLANK 1 r
COUNTIF 10 r,k
COUNTIFS 8 r,k,(r,k)*
SUMIF 8 r,k,r | r,k
SUMIFS 8 r,r,k,(r,k)*
AVERAGEIF 2 r,k,r
AVERAGEIFS 2 r,r,k,(r,k)*
MAXIFS 1 r,r,k
SUMPRODUCT 9 x | x,(x)* | r,r
VLOOKUP 12 c,r,i,m | c,r,i,z
HLOOKUP 2 c,r,i,m
XLOOKUP 2 c,r,r | c,r,r,t
LOOKUP 2 c,r,r
INDEX 12 r,n | r,M | r,M,M | r,i,i
MATCH 8 c,r,m | t,r,m | i,x,m
OFFSET 3 c,i,i | c,n,n,i,i
INDIRECT 3 T
CHOOSE 1 i,a,a,(a)*
LEFT 5 t,n | t
RIGHT 5 t,n | t
MID 5 t,n,n
LEN 5 t
FIND 4 q,t | q,t,n
SEARCH 4 q,t
SUBSTITUTE 4 t,q,q | t,q,q,i
REPLACE 1 t,i,i,q
TRIM 3 t
UPPER 2 t
LOWER 1 t
PROPER 1 t
CLEAN 1 t
CONCATENATE 3 t,t,(t)*
TEXTJOIN 2 q,z,r
CONCAT 1 t,t
REPT 1 q,n
VALUE 3 t
TEXT 6 d,f | n,f
EXACT 1 t,t
CHAR 1 i
CODE 1 t
ROUND 7 n,i
ROUNDUP 3 n,i
ROUNDDOWN 2 n,i
INT 3 n
MOD 4 n,n
ABS 3 n
SQRT 1 n
POWER 1 n,i
CEILING 1 n,n
FLOOR 1 n,n
PRODUCT 1 r
RAND 1
RANDBETWEEN 2 i,i
RANK 2 c,r | c,r,i
LARGE 3 r,i
SMALL 4 r,n | S,n
SUBTOTAL 2 i,r
AGGREGATE 1 i,i,x,n
MEDIAN 1 r
STDEV 1 r
PERCENTILE 1 r,n
DATE 4 n,n,n
YEAR 3 d
MONTH 4 d
DAY 3 d
HOUR 2 d
MINUTE 1 d
TIME 2 n,n,n
TIMEVALUE 1 t
DATEVALUE 1 t
TODAY 6
NOW 3
EOMONTH 3 d,i
EDATE 3 d,i
WEEKDAY 3 d,i | d
WEEKNUM 1 d
NETWORKDAYS 2 d,d | d,d,r
WORKDAY 2 d,i | d,i,r
DATEDIF 3 d,d,u
ISBLANK 4 c
ISERROR 4 a
ISNUMBER 5 a
ISTEXT 1 c
ISNA 2 a
NA 1
ROW 5 | c | r
ROWS 2 r
COLUMN 4 | c
COLUMNS 2 r
ADDRESS 1 n,n
TRANSPOSE 1 r
FILTER 2 r,x | r,x,t
SORT 1 r
UNIQUE 2 r
SEQUENCE 1 i
FREQUENCY 1 r,r
HYPERLINK 1 T,t
PMT 1 n,n,n
NPV 1 n,r
CELL 1 q,c
N 1 c
T 1 c
"""

PRODUCES = {
    "b": "AND OR NOT ISBLANK ISERROR ISNUMBER ISTEXT ISNA EXACT",
    "t": "IF IFERROR LEFT RIGHT MID SUBSTITUTE TRIM UPPER LOWER PROPER CONCATENATE TEXT TEXTJOIN VLOOKUP INDEX REPT CHAR",
    "d": "TODAY NOW DATE EOMONTH EDATE WORKDAY DATEVALUE MAX MIN IF VLOOKUP",
    "n": "SUM AVERAGE MIN MAX COUNT COUNTA COUNTIF COUNTIFS SUMIF SUMIFS SUMPRODUCT VLOOKUP INDEX MATCH LEN FIND SEARCH VALUE "
    "ROUND INT MOD ABS RANDBETWEEN LARGE SMALL YEAR MONTH DAY HOUR ROW COLUMN ROWS COLUMNS DATEDIF NETWORKDAYS WEEKDAY IF IFERROR RANK",
    "x": "MONTH YEAR LEFT ISNUMBER LEN ROW",
}
WORDS = (
    "Yes No Open Closed Paid Pending Total North South East West Apple Red Blue Green Active Late Early OK High Low Medium "
    "Pass Fail A B C X Y N Jan Feb Done None Error Missing Complete Approved Rejected Manager Sales Cash Hold New Old Male Female "
    "Weekend Invoice Expired Due Target Bonus Winner Draft Item Name Date Amount Cost Price"
).split()
SHEETS = (
    "Sheet1 Sheet2 Sheet3 Data Summary Input Lists Orders Sales Rates Calc Master Report Config Staff 'My Sheet' 'Raw Data' "
    "'Sheet 1' '2024' 'Q1 Sales' 'Price List' Inventory Costs Budget Log"
).split(" ")
SHEETS = re.findall(r"'[^']*'|\S+", " ".join(SHEETS))
NAMES = "Rate Prices Items TaxRate StartDate EndDate MyList Table1 Range1 Names Total Scores lookup_table List1 Codes".split()
FORMATS = "dd/mm/yyyy|mmm|mmmm|yyyy|0.00|#,##0|00|hh:mm|d-mmm-yy|mm/dd/yyyy|ddd|0%|h:mm AM/PM|yyyy-mm-dd|000|$#,##0.00".split("|")


class Composer:
    """Draws formulas from the signatures; a formula keeps to a few columns and rows, as real ones do."""

    def __init__(self, rng):
        self.rng = rng
        self.functions = {}
        for line in SIGNATURES.strip().splitlines():
            head, _, forms = line.strip().partition(" ")
            weight, _, forms = forms.partition(" ")
            self.functions[head] = (float(weight), [form.strip() for form in forms.split("|")])
        self.produces = {kind: names.split() for kind, names in PRODUCES.items()}

    def formula(self):
        rng = self.rng
        self.columns = [rng.choice("ABCDEFGHIJKLMNOP") for _ in range(4)] + [rng.choice(["AA", "AB", "X", "Z", "BC", "K"])]
        self.row = rng.choice([1, 2, 2, 2, 3, 4, 5, rng.randint(1, 40), rng.randint(1, 400)])
        self.last = self.row + rng.choice([5, 8, 10, 20, 98, 100, rng.randint(2, 1500)])
        self.absolute = rng.choice([0.1, 0.1, 0.6, 0.9])
        self.sheet = rng.choice(SHEETS) if rng.random() < 0.3 else None
        self.comma = ", " if rng.random() < 0.3 else ","
        self.tight = rng.random() < 0.8
        self.lower = rng.random() < 0.05
        self.whole = rng.random() < 0.2
        depth = rng.choice([1, 2, 2, 3, 3, 4])
        kind = rng.choice("aaaaannnbtdx") if rng.random() < 0.9 else "a"
        text = self.call(self.pick(list(self.functions)), depth) if rng.random() < 0.85 else self.make(kind, depth)
        if rng.random() < 0.12:
            text += rng.choice(["&", "+", "-", "*", "/"]) + self.make("n", depth - 1)
        return ("= " if rng.random() < 0.02 else "=") + text

    def pick(self, names):
        return self.rng.choices(names, [self.functions[name][0] for name in names])[0]

    def call(self, name, depth):
        rng = self.rng
        form = rng.choice(self.functions[name][1])
        arguments = []
        for part in re.findall(r"\([^)]*\)\*|[^,]+", form):
            if part.startswith("("):
                group = part[1:-2].split(",")
                for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
                    arguments += [self.make(kind, depth - 1) for kind in group]
            else:
                arguments.append(self.make(part, depth - 1))
        if name == "MOD" and arguments:
            arguments[1] = rng.choice(["2", "7", "1", arguments[1]])
        shown = name.lower() if self.lower else name
        return f"{shown}({self.comma.join(arguments)})"

    def make(self, kind, depth):
        return getattr(self, "make_" + kind)(depth)

    def nested(self, kind, depth, chance):
        if depth > 0 and self.rng.random() < chance:
            return self.call(self.pick(self.produces[kind]), depth)
        return None

    def make_c(self, depth):
        rng = self.rng
        if rng.random() < 0.05:
            return rng.choice(NAMES)
        if rng.random() < 0.03:
            return "[@" + rng.choice(WORDS) + "]"
        column, row = rng.choice(self.columns), self.row if rng.random() < 0.8 else self.row + rng.choice([-1, 1, 2, 7])
        row = max(row, 1)
        text = self.dollar(column, row, rng.random() < self.absolute * 0.5)
        return self.on_sheet(text, 0.5)

    def dollar(self, column, row, fixed):
        rng = self.rng
        if not fixed:
            return f"{column}{row}"
        return rng.choice([f"${column}${row}", f"${column}${row}", f"${column}{row}", f"{column}${row}"])

    def on_sheet(self, text, chance):
        return f"{self.sheet}!{text}" if self.sheet and self.rng.random() < chance else text

    def make_r(self, depth):
        rng = self.rng
        roll = rng.random()
        if roll < 0.04:
            return rng.choice(NAMES)
        if roll < 0.06:
            return rng.choice(["Table1", "Orders", "Sales"]) + "[" + rng.choice(WORDS) + "]"
        first = rng.choice(self.columns)
        last = first if rng.random() < 0.7 else chr(min(ord(first[0]) + rng.randint(1, 6), 90))
        fixed = rng.random() < self.absolute
        if self.whole and rng.random() < 0.7:
            text = f"${first}:${last}" if fixed else f"{first}:{last}"
        else:
            text = self.dollar(first, self.row, fixed) + ":" + self.dollar(last, self.last, fixed)
            if fixed:
                text = f"${first}${self.row}:${last}${self.last}"
        if rng.random() < 0.06:
            text = f"${first}${self.row}:{first}{self.row}"
        return self.on_sheet(text, 0.7)

    def make_i(self, depth):
        return str(self.rng.choice([0, 0, 1, 1, 1, 2, 2, 3, 4, 5, -1, 6, 7, 12, 15, 10]))

    def make_m(self, depth):
        return self.rng.choice(["0", "0", "0", "0", "FALSE", "FALSE", "1", "TRUE", "False"])

    def make_z(self, depth):
        return self.rng.choice(["TRUE", "FALSE", "TRUE", "True", "0"])

    def make_M(self, depth):
        if self.rng.random() < 0.5:
            value = self.make_c(depth)
            return f"MATCH({value}{self.comma}{self.make_r(0)}{self.comma}{self.rng.choice(['0', '0', '0', 'FALSE', '1'])})"
        return self.make_n(depth)

    def number(self):
        rng = self.rng
        return rng.choice([
            str(rng.randint(0, 20)), str(rng.randint(1, 9)), str(rng.randint(1, 9) * 10), str(rng.randint(1, 9) * 100), "0", "1", "24",
            f"{rng.randint(0, 99)}.{rng.randint(1, 99)}", f"0.{rng.randint(1, 99):02d}", f"{rng.randint(1, 99)}%", "60", "100", "365", "1000",
        ])  # fmt: skip

    def make_n(self, depth):
        rng = self.rng
        call = self.nested("n", depth, 0.4)
        if call:
            if rng.random() < 0.25:
                return f"{call}{rng.choice('+-*/')}{rng.choice([self.number(), self.make_c(0)])}"
            return call
        roll = rng.random()
        if roll < 0.45:
            return self.make_c(depth)
        if roll < 0.7:
            return self.number()
        operator = rng.choice(["+", "-", "*", "/", "-", "*", "^"])
        space = "" if self.tight else " "
        left, right = self.make_c(0), rng.choice([self.number(), self.make_c(0)])
        text = f"{left}{space}{operator}{space}{right}"
        if rng.random() < 0.2:
            text = f"({text}){rng.choice('*/')}{self.number()}"
        elif rng.random() < 0.1:
            text = f"{self.number()}*({text})"
        return text

    def make_t(self, depth):
        rng = self.rng
        call = self.nested("t", depth, 0.25)
        if call:
            return call + rng.choice(["", "", "", '&""', f'&" "&{self.make_c(0)}'])
        roll = rng.random()
        if roll < 0.55:
            return self.make_c(depth)
        if roll < 0.85:
            return self.make_q(depth)
        space = "" if self.tight else " "
        glue = f"{space}&{space}"
        parts = [rng.choice([self.make_c(0), self.make_q(0)]) for _ in range(rng.choice([2, 2, 3]))]
        return glue.join(parts)

    def make_q(self, depth):
        rng = self.rng
        word = rng.choice(WORDS)
        return rng.choice([f'"{word}"', f'"{word}"', f'"{word}"', '""', '""', '" "', '"-"', '","', f'"{word} {rng.choice(WORDS)}"', f'"*{word}*"', '"/"', '"_"', '", "', f'"{rng.randint(1, 99)}"'])  # fmt: skip

    def make_T(self, depth):
        cell = self.make_c(0)
        return self.rng.choice([f'{cell}&"!A1"', f'"A"&{cell}', cell, f'"\'"&{cell}&"\'!B2"', f'"{self.rng.choice("ABCD")}"&ROW()', f'"Sheet"&{cell}&"!A1"'])

    def make_k(self, depth):
        rng = self.rng
        roll = rng.random()
        operator = rng.choice([">", "<", ">=", "<=", "<>", "="])
        if roll < 0.4:
            return self.make_c(depth)
        if roll < 0.6:
            return f'"{operator}{rng.choice([self.number().rstrip("%"), "", rng.choice(WORDS)])}"'
        if roll < 0.8:
            glue = "&" if self.tight else " & "
            return f'"{operator}"{glue}{rng.choice([self.make_c(0), "TODAY()", self.make_d(depth)])}'
        if roll < 0.85:
            return f'"*"&{self.make_c(0)}&"*"'
        return self.make_q(0)

    def make_f(self, depth):
        return f'"{self.rng.choice(FORMATS)}"'

    def make_u(self, depth):
        return self.rng.choice(['"d"', '"m"', '"y"', '"ym"', '"md"', '"D"', '"Y"'])

    def make_d(self, depth):
        rng = self.rng
        call = self.nested("d", depth, 0.4)
        text = call or rng.choice([self.make_c(0), self.make_c(0), "TODAY()"])
        return text + rng.choice(["", "", "", f"-{rng.randint(1, 60)}", f"+{rng.randint(1, 60)}"]) if rng.random() < 0.4 else text

    def make_b(self, depth):
        rng = self.rng
        call = self.nested("b", depth, 0.3)
        if call:
            return call
        space = "" if self.tight else " "
        operator = rng.choice(["=", "=", "=", ">", "<", ">=", "<=", "<>", "<>"])
        left = rng.choice([self.make_c(depth), self.make_c(depth), self.make_n(depth - 1), self.make_t(depth - 1)])
        right = rng.choice([self.number(), self.make_q(0), self.make_c(0), '""', "0", self.make_n(depth - 1)])
        if rng.random() < 0.06:
            left = f"({left})"
        return f"{left}{space}{operator}{space}{right}"

    def make_x(self, depth):
        rng = self.rng
        span = self.make_r(0)
        operator = rng.choice(["=", "=", "=", ">", "<", ">=", "<=", "<>"])
        right = rng.choice([self.make_c(0), self.make_q(0), self.number(), '""'])
        left = f"{rng.choice(self.produces['x'])}({span})" if rng.random() < 0.2 and depth >= 0 else span
        if left.startswith("LEFT("):
            left = left[:-1] + f"{self.comma}{rng.randint(1, 5)})"
        test = f"({left}{operator}{right})"
        roll = rng.random()
        if roll < 0.35:
            return f"--{test}"
        if roll < 0.7:
            more = "*".join([test] + [f"({self.make_r(0)}{rng.choice(['=', '<>', '>'])}{self.make_c(0)})" for _ in range(rng.choice([0, 1, 1, 2]))])
            return more + (f"*{self.make_r(0)}" if rng.random() < 0.3 else "")
        if roll < 0.85:
            return f"{test}*1"
        return f"{test}*{self.make_r(0)}"

    def make_S(self, depth):
        return f"IF({self.make_x(0).lstrip('-')}{self.comma}ROW({self.make_r(0)})-{self.rng.choice(['1', 'ROW(' + self.make_c(0) + ')+1'])})"

    def make_a(self, depth):
        kind = self.rng.choice("nnnttqqqccdb" if depth > 0 else "nqqccc")
        if depth > 0 and self.rng.random() < 0.35:
            return self.call(self.pick(["IF", "IF", "VLOOKUP", "INDEX", "SUM", "IFERROR", "SUMIFS", "COUNTIF", "TEXT"]), depth)
        return self.make(kind, depth)


def calls(text):
    """The calls of a formula: (name, [(start, end) of each argument])."""
    stack, found, at = [], [], 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            end = text.find(char, at + 1)
            at = len(text) if end < 0 else end + 1
            continue
        if char == "{":
            stack.append([None, [at + 1]])
        elif char == "}" and stack:
            stack.pop()
        elif char == "(":
            name = re.search(r"[A-Za-z_][\w.]*$", text[:at])
            stack.append([name.group().upper() if name else None, [at + 1]])
        elif char == "," and stack:
            stack[-1][1].append(at + 1)
        elif char == ")" and stack:
            name, starts = stack.pop()
            if name:
                found.append((name, list(zip(starts, [start - 1 for start in starts[1:]] + [at]))))
        at += 1
    return found


def recombine(texts, n, rng):
    """Exchanges arguments of real formulas for those that others gave to the same place."""
    pool = {}
    for text in texts:
        for name, arguments in calls(text):
            for nth, (start, end) in enumerate(arguments):
                argument = text[start:end]
                if argument.strip() and len(argument) < 120:
                    pool.setdefault((name, min(nth, 5)), []).append(argument)
    rich = [text for text in texts if len(calls(text)) > 0]
    for _ in range(n):
        text = rng.choice(rich)
        for _ in range(rng.choice([1, 1, 2, 3])):
            found = calls(text)
            if not found:
                break
            name, arguments = rng.choice(found)
            nth = rng.randrange(len(arguments))
            # Arguments that are calls themselves are what real formulas lack.
            choices = pool.get((name, min(nth, 5)), [])
            deep = [choice for choice in rng.sample(choices, min(8, len(choices))) if "(" in choice]
            if choices:
                start, end = arguments[nth]
                text = text[:start] + rng.choice(deep or choices) + text[end:]
        if len(text) < 400:
            yield text


def key(text):
    return re.sub(r"\s+", "", text).upper().lstrip("=")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--formulas", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--n", type=int, default=240_000, help="rows in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    known = set()
    for path in sorted(args.bench.glob("*.jsonl")) if args.bench else []:
        for line in path.open(encoding="utf-8"):
            row = json.loads(line)
            if row["lang"] != "python":
                known |= {key(row["broken"]), key(row["fixed"])}
    real = [json.loads(line)["text"] for line in args.formulas.open(encoding="utf-8")]
    # OpenDocument writes `[.A1:.B2]` for A1:B2.
    real = [re.sub(r"\[\.?([^\[\]@#]*)\]", lambda m: m.group(1).replace(":.", ":"), text) if "[." in text else text for text in real]
    real = [text if text.startswith("=") else "=" + text for text in real]
    composer = Composer(rng)
    n_made = args.n - len(real)
    parts = {
        "real": real,
        "recombined": recombine(real, n_made // 4, rng),
        "composed": (composer.formula() for _ in range(n_made - n_made // 4)),
    }
    rows, counts = [], {}
    for part, texts in parts.items():
        for text in texts:
            if key(text) in known or not text.strip() or len(text) > 1000:
                continue
            known.add(key(text))
            counts[part] = counts.get(part, 0) + 1
            rows.append(json.dumps({"text": text, "source": part}, ensure_ascii=False))
    data = "".join(row + "\n" for row in rows).encode()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "excel.formulas.jsonl.zst").write_bytes(zstandard.ZstdCompressor(level=10).compress(data))
    digests = {"formulas": hashlib.sha256(args.formulas.read_bytes()).hexdigest(), "rows": hashlib.sha256(data).hexdigest()}
    manifest = {"seed": args.seed, "n": counts, "sha256": digests}
    (args.out / "excel.manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(manifest))


if __name__ == "__main__":
    main()

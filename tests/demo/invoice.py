"""Adds up an invoice and prints it."""

import sys
from decimal import Decimal

VAT = Decimal("0.21")


def parse_line(line):
    name, amount = line.rsplit(",", 1)
    return name.strip(), Decimal(amount.strip())


def total(lines):
    net = sum((amount for _, amount in map(parse_line, lines)), Decimal(0)
    return net, net * VAT


if __name__ == "__main__":
    net, vat = total(sys.stdin)
    print(f"net {net:.2f}, VAT {vat:.2f}, together {net + vat:.2f}")

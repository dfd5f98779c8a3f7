#!/usr/bin/env python
# Weekly numbers, as they came over from the old server.

import csv
import collections


def weekly(path):
    counts = collections.Counter()
    for row in csv.DictReader(open(path)):
        counts[row["week"]] += int(row["visits"])
    return counts


counts = weekly("visits.csv")
for week in sorted(counts):
    print "week %s: %d visits" % (week, counts[week])

"""Collects the headlines of a page."""

from html.parser import HTMLParser
from urllib.request import urlopen


class Headlines(HTMLParser):
    def __init__(self):
        super().__init__()
        self.inside = False
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.inside = tag in ("h1", "h2", "h3"]

    def handle_data(self, data):
        if self.inside && data.strip():
            self.found.append(data.strip())
            self.inside = False


parser = Headlines()
parser.feed(urlopen("https://example.org").read().decode())
print("\n".join(parser.found))

"""What is in stock, and what has to be ordered."""

from dataclasses import dataclass


@dataclass
class Item:
    name: str
    count: int
    minimum: int = 10

    def is_low(self):
        return self.count < self.minimum


def to_order(items):
    low = [item for item in items if item.is_low()
    return sorted(low, key=lambda item: item.count - item.minimum)


stock = [Item("screws M4", 250, 100), Item("hinges", 4), Item("glue", 2, 5)]

for item in to_order(stock):
print(f"{item.name}: {item.count} left, order {item.minimum - item.count}")

class Shape(
    sides = 3

def total(prices):
    return sum(float(p for p in prices)


print(total(["1.5", "2"]))

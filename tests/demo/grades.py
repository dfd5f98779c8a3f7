# read the grades and say who passed
grades = {}

with open("grades.txt") as file:
    for line in file:
        name, points = line.split()
        grades[name] = int(points)

def passed(points):
    if points => 50:
        return True
    return False

for name, points in grades.items():
    print(name, "passed" if passed(points) else "failed")

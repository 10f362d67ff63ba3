// Everything that AssemblyScript has for functions as values: references kept in globals, arrays and fields, closures without
// surroundings, comparison with null and with each other, virtual methods, interfaces, calls by index.
type Step = (value: i32) => i32;

function increment(value: i32): i32 {
  return value + 1;
}

function twice(value: i32): i32 {
  return value * 2;
}

const steps: StaticArray<Step> = [increment, twice, (value: i32): i32 => value - 3];
let current: Step = increment;
let perhaps: Step | null = null;

export function choose(index: i32): void {
  current = steps[index];
  perhaps = index == 1 ? null : current;
}

export function step(value: i32): i32 {
  const chosen = perhaps;
  return chosen == null ? current(value) : chosen(chosen(value));
}

export function isTwice(): i32 {
  return i32(current == twice);
}

export function byIndex(index: u32, value: i32): i32 {
  return call_indirect<i32>(index, value);
}

export function sumOf(count: i32): i32 {
  const list = new Array<i32>(count);
  for (let at = 0; at < count; at++) list[at] = at;
  return list.map<i32>((value) => value * value).reduce((sum, value) => sum + value, 0);
}

interface Shape {
  area(): i32;
}

abstract class Named {
  abstract weight(): i32;
  twice(): i32 {
    return this.weight() * 2;
  }
}

class Square extends Named implements Shape {
  constructor(private side: i32) {
    super();
  }
  area(): i32 {
    return this.side * this.side;
  }
  weight(): i32 {
    return this.side;
  }
}

class Strip extends Named implements Shape {
  constructor(private length: i32) {
    super();
  }
  area(): i32 {
    return this.length;
  }
  weight(): i32 {
    return 7;
  }
  twice(): i32 {
    return 1;
  }
}

export function shapes(which: i32, size: i32): i32 {
  const named: Named = which == 0 ? new Square(size) : new Strip(size);
  const shape: Shape = which == 0 ? new Square(size) : new Strip(size);
  return named.twice() * 1000 + shape.area();
}

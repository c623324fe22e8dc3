const units = ['bytes', 'KiB', 'MiB', 'GiB']

/** size is a number of bytes in the largest unit that keeps it whole. */
export function size(bytes: number): string {
  let n = bytes
  let unit = 0
  while (n >= 1024 && n % 1024 === 0 && unit < units.length - 1) {
    n /= 1024
    unit++
  }
  return `${n.toLocaleString('en')} ${units[unit]}`
}

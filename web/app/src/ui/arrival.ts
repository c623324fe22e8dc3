// After a jump by the keyboard the focus goes to the heading of the page that comes, however often that is
// drawn anew while it loads, until somebody presses anything.
let arriving = false

function end() {
  arriving = false
  window.removeEventListener('keydown', end, true)
  window.removeEventListener('pointerdown', end, true)
}

/** jump says that another page comes, and is to have the focus. */
export function jump() {
  arriving = true
  window.addEventListener('keydown', end, true)
  window.addEventListener('pointerdown', end, true)
}

/** land gives the heading the focus after a jump, unless something on the page has taken it. */
export function land(heading: HTMLElement | null) {
  const taken = document.activeElement?.closest('main') && document.activeElement.id !== 'main'
  if (arriving && !taken) heading?.focus({ preventScroll: true })
}

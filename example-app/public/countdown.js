// Counts down the seconds of the pin. Without this script, the page shows the seconds that were left when it was
// made.
for (const output of document.querySelectorAll('[data-seconds-left]')) {
  const end = performance.now() + Number(output.dataset.secondsLeft) * 1000
  const timer = setInterval(() => {
    const left = Math.max(0, Math.ceil((end - performance.now()) / 1000))
    output.textContent = `${left} s`
    if (left > 0) return
    clearInterval(timer)
    output.closest('[data-pin]').textContent = 'The pin is over: the next page is read from a replica again.'
  }, 250)
}

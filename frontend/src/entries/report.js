import { histogram } from '../charts/histogram.js'
import { intervals } from '../charts/intervals.js'
import { legend } from '../charts/legend.js'
import { lines } from '../charts/lines.js'
import { wholeRun } from '../charts/wholeRun.js'
import { mountExplanation } from '../explanation/mount.js'
import { mountWholeRun } from '../whole-run/mount.js'

// Each place of a chart names its kind and carries its data as JSON in the element before it.
const KINDS = {
  histogram, intervals, legend, lines,
  'whole-run': wholeRun, 'whole-runs': (place, { runs }) => mountWholeRun(place, runs), explanation: mountExplanation,
}

for (const place of document.querySelectorAll('[data-chart]')) {
  KINDS[place.dataset.chart](place, JSON.parse(place.previousElementSibling.textContent))
}

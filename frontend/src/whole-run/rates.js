import { axisStyle, drawChart, tooltip } from '../chart.js'
import { count, percent, stepOf } from '../numbers.js'
import { bandsOf, enough, fullest, kindsOf, wilson } from './bands.js'

const DASHES = [[6, 4], [2, 3]]

/** The name of a band of ages as an axis has room for. */
const short = (name) => name.replace('under ', '< ').replace(' and more', '+').replace(/ (h|d|w|y)\w+/, ' $1')

/**
 * Draw the click rate of rows with a behaviour of one kind, and the mean scores that runs give them.
 *
 * @param {HTMLElement} place where
 * @param {{kind: string, across: string, runs: Object[], which: string}} data `which` is `positions` or `ages`
 */
export function rates(place, { kind, across, runs, which }) {
  const bands = bandsOf(runs, which)
  const names = bands.map(({ name }) => name)
  const cells = bands.map((band) => band.cells(kind).map(enough)) // by band and run
  const logged = cells.map(fullest)
  const intervals = logged.map((cell) => cell && wilson(cell.clicked, cell.rows))
  const [down, up, step] = scaleOf(runs, which)
  const told = cells.map((of, k) => [
    logged[k] ? `clicked ${percent(logged[k].clicked)} (${intervals[k].map(percent).join(' to ')}) of ${count(logged[k].rows, 'row')}` : 'too few in the log',
    ...runs.flatMap(({ run }, r) => {
      if (!of[r]) return []
      const own = of[r].number === logged[k].number ? '' : `, of which ${percent(of[r].clicked)} were clicked`
      return [`${run} ${percent(of[r].score)}${own}`]
    }),
  ])
  const said = told.flatMap((lines, k) => (logged[k] ? [`${names[k]}: ${lines.join(', ')}`] : [])).join('. ')
  const option = (colours) => {
    const lines = [colours.accent, colours.second]
    return {
      grid: { left: 44, right: 10, top: 10, bottom: 42, outerBoundsMode: 'none' },
      xAxis: {
        type: 'category', data: names, name: across, nameLocation: 'middle', nameGap: 26, ...axisStyle(colours),
        axisLabel: { ...axisStyle(colours).axisLabel, formatter: short },
      },
      yAxis: {
        type: 'value', min: down, max: up, interval: step, ...axisStyle(colours), axisLine: { show: false },
        axisLabel: { ...axisStyle(colours).axisLabel, formatter: (share) => `${(100 * share).toFixed(Math.max(0, -2 - Math.floor(Math.log10(step) + 1e-9)))} %` },
      },
      tooltip: {
        ...tooltip(colours, (found) => {
          const k = found[0]?.dataIndex ?? 0
          return [`${across}: ${names[k]}`, ...told[k]]
        }),
        trigger: 'axis',
      },
      series: [
        {
          type: 'custom', silent: true, z: 1,
          data: intervals.flatMap((ends, k) => (ends ? [[k, ...ends]] : [])),
          renderItem: (_, api) => {
            const [x, low] = api.coord([api.value(0), api.value(1)])
            const [, high] = api.coord([api.value(0), api.value(2)])
            return { type: 'line', shape: { x1: x, x2: x, y1: low, y2: high }, style: { stroke: colours.faint, lineWidth: 3 } }
          },
        },
        {
          type: 'line', name: 'clicked', data: logged.map((cell) => cell?.clicked ?? null), symbol: 'circle', symbolSize: 5, z: 3,
          itemStyle: { color: colours.text }, lineStyle: { color: colours.text, width: 2 },
        },
        ...runs.map((run, r) => ({
          type: 'line', name: run.run, data: cells.map((of) => of[r]?.score ?? null), symbol: 'rect', symbolSize: 5, z: 4,
          itemStyle: { color: lines[r % 2] }, lineStyle: { color: lines[r % 2], width: 2, type: DASHES[r % 2] },
        })),
      ],
    }
  }
  drawChart(place, option, `A behaviour of kind ${kind}, by ${across}. ${said}`)
}

/** Ends and step of a scale that has all that is drawn of some bands, of any kind. */
function scaleOf(runs, which) {
  const all = bandsOf(runs, which).flatMap(({ cells }) => kindsOf(runs).flatMap((kind) => {
    const known = cells(kind).map(enough)
    const logged = fullest(known)
    return logged ? [...wilson(logged.clicked, logged.rows), ...known.flatMap((cell) => (cell ? [cell.score] : []))] : []
  }))
  const [low, high] = [Math.min(...all), Math.max(...all)]
  const step = stepOf(high - low)
  return [Math.floor(low / step + 1e-9) * step, Math.min(1, Math.ceil(high / step - 1e-9) * step), step]
}

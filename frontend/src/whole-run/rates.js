import { axisStyle, drawChart, tooltip } from '../chart.js'
import { percent } from '../numbers.js'

const DASHES = [[6, 4], [2, 3]]

/** A mean of fewer says nothing: charts leave it out, and the table has it. */
export const FEWEST = 30

/** Leave out what too few rows stand behind. */
export const enough = (cell) => (cell && cell.number >= FEWEST ? cell : undefined)

/** The name of a band of ages as an axis has room for. */
const short = (name) => name.replace('under ', '< ').replace(' and more', '+').replace(/ (h|d|w|y)\w+/, ' $1')

/**
 * Draw the click rate of rows with a behaviour of one kind, and the mean scores that runs give them.
 *
 * @param {HTMLElement} place where
 * @param {{kind: string, across: string, runs: Object[], bands: string}} data `bands` is `positions` or `ages`
 */
export function rates(place, { kind, across, runs, bands }) {
  const [first] = runs
  const names = first[bands].map(({ name }) => name)
  const cellsOf = (run) => run[bands].map(({ cells }) => enough(cells[kind]))
  const clicked = cellsOf(first).map((cell) => cell?.clicked ?? null)
  const all = runs.flatMap((run) => run.kinds.flatMap((one) => run[bands].flatMap(({ cells }) => (enough(cells[one]) ? [cells[one].clicked, cells[one].score] : []))))
  const step = Math.max(...all) - Math.min(...all) > 0.4 ? 0.2 : 0.1
  const down = Math.floor(Math.min(...all) / step) * step
  const up = Math.min(1, Math.ceil(Math.max(...all) / step) * step)
  const said = cellsOf(first)
    .flatMap((cell, k) => (cell ? [`${names[k]}: ${percent(cell.clicked)} clicked, ${runs.map((run) => `${run.run} ${percent(cellsOf(run)[k]?.score)}`).join(', ')}`] : []))
    .join('. ')
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
        axisLabel: { ...axisStyle(colours).axisLabel, formatter: (share) => `${Math.round(100 * share)} %` },
      },
      tooltip: {
        ...tooltip(colours, (found) => {
          const k = found[0]?.dataIndex ?? 0
          const cell = cellsOf(first)[k]
          return [
            `${across}: ${names[k]}`,
            ...(cell ? [`clicked ${percent(cell.clicked)} of ${cell.number.toLocaleString('en')}`] : ['none in the log']),
            ...runs.flatMap((run) => (cellsOf(run)[k] ? [`${run.run} ${percent(cellsOf(run)[k].score)}`] : [])),
          ]
        }),
        trigger: 'axis',
      },
      series: [
        {
          type: 'custom', silent: true, z: 1,
          data: cellsOf(first).flatMap((cell, k) => {
            if (!cell) return []
            const wide = 2 * Math.sqrt((cell.clicked * (1 - cell.clicked)) / cell.number)
            return [[k, Math.max(down, cell.clicked - wide), Math.min(up, cell.clicked + wide)]]
          }),
          renderItem: (_, api) => {
            const [x, low] = api.coord([api.value(0), api.value(1)])
            const [, high] = api.coord([api.value(0), api.value(2)])
            return { type: 'line', shape: { x1: x, x2: x, y1: low, y2: high }, style: { stroke: colours.faint, lineWidth: 3 } }
          },
        },
        {
          type: 'line', name: 'clicked', data: clicked, symbol: 'circle', symbolSize: 5, z: 3,
          itemStyle: { color: colours.text }, lineStyle: { color: colours.text, width: 2 },
        },
        ...runs.map((run, r) => ({
          type: 'line', name: run.run, data: cellsOf(run).map((cell) => cell?.score ?? null), symbol: 'rect', symbolSize: 5, z: 4,
          itemStyle: { color: lines[r % 2] }, lineStyle: { color: lines[r % 2], width: 2, type: DASHES[r % 2] },
        })),
      ],
    }
  }
  drawChart(place, option, `A behaviour of kind ${kind}, by ${across}. ${said}`)
}

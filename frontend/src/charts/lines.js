import { axisStyle, drawChart, tooltip } from '../chart.js'
import { DASHES, hues } from '../colours.js'
import { mark } from '../numbers.js'

/**
 * Draw curves: thin for each replicate, bold for their mean.
 *
 * @param {HTMLElement} place where
 * @param {{title: string, across: string, colours: number, curves: {name: string, hue: number|null,
 *   lines: number[][][], mean: number[][]}[]}} data points `[x, y]`; a curve has the `hue`th of so many colours, so
 *   that a model has the same one in all charts, or is dashed and grey
 */
export function lines(place, { title, across, colours: of, curves }) {
  const option = (colours) => ({
    grid: { left: 48, right: 12, top: 10, bottom: 38, outerBoundsMode: 'none' },
    xAxis: {
      type: 'value', scale: true, name: across, nameLocation: 'middle', nameGap: 24, ...axisStyle(colours),
      splitLine: { show: false }, axisLabel: { ...axisStyle(colours).axisLabel, formatter: mark },
    },
    yAxis: {
      type: 'value', scale: true, splitNumber: 4, ...axisStyle(colours), axisLine: { show: false },
      axisLabel: { ...axisStyle(colours).axisLabel, formatter: mark },
    },
    tooltip: tooltip(colours, ({ seriesName, data: [x, y] }) => [
      seriesName, `${across} ${Number(x.toPrecision(4))}: ${y.toPrecision(5)}`,
    ]),
    series: curves.flatMap(({ name, hue, lines: each, mean }) => {
      const color = hue == null ? colours.dim : hues(of)[hue]
      const common = { type: 'line', name, symbol: 'circle' }
      const type = hue == null ? [4, 4] : DASHES[hue % DASHES.length]
      return [
        ...(each.length > 1 ? each : []).map((data) => ({
          ...common, data, symbolSize: 0, silent: true, lineStyle: { color, width: 1, opacity: 0.35 },
        })),
        {
          ...common, data: mean, symbolSize: mean.length === 1 ? 7 : 4, showSymbol: mean.length < 40,
          itemStyle: { color }, lineStyle: { color, width: 2, type }, z: 3,
        },
      ]
    }),
  })
  drawChart(place, option, title)
}

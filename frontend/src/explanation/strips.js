import { axisStyle, drawChart } from '../chart.js'
import { h } from '../dom.js'
import { count, day, fixed, minute, signed } from '../numbers.js'
import { nameOf } from './items.js'
import { later } from './later.js'
import { partsOf, scaleLabel } from './parts.js'
import { placesOf } from './places.js'
import { readAt } from './reads.js'

const [TITLE, GAP, AXIS, SLIDER, RIGHT] = [24, 38, 28, 32, 28]
const [NO_SLIDER, WHOLE, WINDOW] = [60, 200, 150]
const LARGE = 300
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 }

/**
 * Draw a history as a timeline in lanes, with a candidate's numbers along it, on one x axis. It takes the keys of a
 * slider: arrows, Home, End, Page Up and Page Down choose a behaviour, Escape none, Delete removes it.
 *
 * @param {Object} explanation what is shown
 * @param {import('./state.js').State} state what is chosen
 * @param {(place: number) => void} [onRemove] called with the place of a behaviour to take out
 * @returns {{element: HTMLElement, start: () => void, dispose: () => void}} `start` draws, once it is in the page
 */
export function strips(explanation, state, onRemove) {
  const { history } = explanation
  const last = history.length - 1
  const place = h('div')
  // The mark of the shown behaviour is an element over the canvas: to move it, nothing is drawn anew.
  const pointer = h('div', { class: 'pointer', hidden: true })
  const element = h(
    'div',
    {
      class: 'strips',
      ...(history.length && { tabindex: 0, role: 'slider', 'aria-label': 'Behaviour of the history', 'aria-valuemin': 1 }),
    },
    place,
    pointer,
  )
  let drawn, at, left, inner, parts, bottom

  /** How wide one behaviour is within the window. */
  const band = () => inner / (at.nearest(state.range[1]) - at.nearest(state.range[0]) + 1)

  /** How wide the mark of one behaviour is: by time they are thin, since many may be near each other. */
  const mark = () => (state.byTime ? Math.max(1.5, Math.min(4, band() / 4)) : Math.max(1.5, Math.min(12, band() * 0.72)))

  const series = () =>
    parts.flatMap(({ layers, lanes }, k) =>
      layers.map(({ id, points }) => ({
        id,
        data: points.map(([j, value]) => [at.xs[j], value]),
        large: points.length > LARGE,
        ...(lanes && { symbolSize: [mark(), 11] }),
      })),
    )

  /** What differs between candidates on the y axes. */
  const scales = () =>
    parts.map(({ ends }) =>
      ends
        ? { min: ends[0], max: ends[1], axisLabel: { customValues: [...new Set([ends[0], 0, ends[1]])], formatter: scaleLabel(ends) } }
        : {},
    )

  const option = (colours, width) => {
    at = placesOf(history, state.byTime)
    parts = partsOf(explanation, state)
    left = Math.min(132, Math.max(76, width * 0.18))
    inner = width - left - RIGHT
    const tops = parts.reduce((tops, { height }) => [...tops, tops.at(-1) + height + GAP], [TITLE])
    bottom = tops.at(-1) - GAP
    const zoomed = history.length > NO_SLIDER
    place.style.height = `${bottom + AXIS + (zoomed ? SLIDER : 0)}px`
    state.range ??= [history.length > WHOLE ? at.xs[history.length - WINDOW] : at.ends[0], at.ends[1]]
    const axis = axisStyle(colours)
    const label = { ...axis.axisLabel, width: left - 10, overflow: 'truncate', interval: 0 }
    const all = parts.map((_, k) => k)
    const zoom = { xAxisIndex: all, startValue: state.range[0], endValue: state.range[1], throttle: 60 }
    const x = state.byTime
      ? { type: 'time', min: at.ends[0], max: at.ends[1] }
      : { type: 'category', data: history.map(({ time }, k) => day(time) || String(k + 1)) }
    const now = new Map(series().map((one) => [one.id, one]))
    return {
      title: parts.map(({ title }, k) => ({
        text: title, left: 0, top: tops[k] - TITLE + 3, padding: 0,
        textStyle: { color: colours.text, fontSize: 12, fontWeight: 600, width: width - RIGHT, overflow: 'truncate' },
      })),
      grid: parts.map(({ height }, k) => ({ left, right: RIGHT, top: tops[k], height, outerBoundsMode: 'none' })),
      xAxis: all.map((k) => ({
        ...axis, ...x, gridIndex: k, splitLine: { show: false },
        axisLabel: { ...axis.axisLabel, show: k === all.at(-1) },
        axisLine: { show: k > 0, onZero: true, lineStyle: { color: colours.line } },
      })),
      yAxis: scales().map((scale, k) => ({
        ...axis, gridIndex: k, axisLine: { show: false },
        ...(parts[k].lanes
          ? { type: 'category', data: parts[k].lanes, inverse: true, splitLine: { show: true, lineStyle: { color: colours.line } } }
          : { type: 'value', splitLine: { show: false } }),
        ...scale,
        axisLabel: { ...label, hideOverlap: !parts[k].lanes, ...scale.axisLabel },
      })),
      series: parts.flatMap(({ layers, lanes }, k) =>
        layers.map(({ id, colour }) => ({
          ...now.get(id), xAxisIndex: k, yAxisIndex: k, silent: true, itemStyle: { color: colours[colour] },
          largeThreshold: LARGE,
          ...(lanes
            ? { type: 'scatter', symbol: 'rect' }
            : { type: 'bar', barGap: '-100%', barCategoryGap: '28%', barMaxWidth: 24, ...(state.byTime && { barWidth: mark() }) }),
        })),
      ),
      dataZoom: !zoomed ? [] : [
        {
          type: 'slider', ...zoom, height: 14, bottom: 8, left, right: RIGHT, brushSelect: false, showDetail: false,
          showDataShadow: false, borderColor: colours.line, borderRadius: 3, fillerColor: colours.soft,
          backgroundColor: 'transparent', moveHandleSize: 0,
          handleStyle: { color: colours.page, borderColor: colours.dim },
        },
        { type: 'inside', ...zoom, zoomOnMouseWheel: 'ctrl' },
      ],
    }
  }

  /** Mark the behaviour that is shown in every strip, and say it to screen readers. */
  const show = () => {
    const k = state.shown
    element.setAttribute('aria-valuemax', history.length)
    element.setAttribute('aria-valuenow', k == null ? history.length : k + 1)
    element.setAttribute('aria-valuetext', k == null ? count(history.length, 'behaviour') : spoken(explanation, state, k))
    const x = k == null ? null : drawn.chart.convertToPixel({ xAxisIndex: 0 }, at.xs[k])
    const inside = x != null && x >= left - 1 && x <= left + inner + 1
    pointer.hidden = !inside
    if (!inside) return
    const wide = state.byTime ? mark() + 2 : Math.max(3, band())
    Object.assign(pointer.style, { left: `${x - wide / 2}px`, width: `${wide}px`, top: `${TITLE}px`, height: `${bottom - TITLE}px` })
  }

  const draw = () => {
    drawn.draw()
    show()
  }

  const redraw = () => {
    parts = partsOf(explanation, state)
    drawn.chart.setOption({ yAxis: scales(), series: series() })
    show()
  }

  /** Choose a behaviour, and move the window along so that it is in it. */
  const choose = (k) => {
    const [from, to] = state.range
    if (at.xs[k] < from || at.xs[k] > to) {
      const start = Math.min(Math.max(at.xs[k] - (to - from) / 2, at.ends[0]), at.ends[1] - (to - from))
      drawn.chart.dispatchAction({ type: 'dataZoom', startValue: Math.round(start), endValue: Math.round(start + to - from) })
    }
    state.set({ chosen: k, pointed: null })
  }

  const onKey = (event) => {
    if (event.key === 'Delete' && onRemove && state.chosen != null) onRemove(state.chosen)
    else if (event.key === 'Escape') state.set({ chosen: null, pointed: null, marked: [] })
    else if (event.key === 'Home') choose(0)
    else if (event.key === 'End') choose(last)
    else if (event.key in STEPS) {
      const step = STEPS[event.key]
      choose(state.chosen == null ? (step < 0 ? last : 0) : Math.min(last, Math.max(0, state.chosen + step)))
    } else return
    event.preventDefault()
  }

  const placeUnder = ({ offsetX: x, offsetY: y }) =>
    x < left || x > left + inner || y < TITLE || y > bottom
      ? null
      : at.nearest(drawn.chart.convertFromPixel({ xAxisIndex: 0 }, x))

  const start = () => {
    if (!history.length) return
    drawn = drawChart(place, option, '')
    place.removeAttribute('role') // the slider around it is what a screen reader meets
    place.removeAttribute('aria-label')
    const mouse = drawn.chart.getZr()
    mouse.on('mousemove', (event) => state.set({ pointed: placeUnder(event) }))
    mouse.on('globalout', () => state.set({ pointed: null }))
    mouse.on('click', (event) => {
      const k = placeUnder(event)
      if (k != null) state.set({ chosen: k, pointed: k, marked: [] })
    })
    drawn.chart.on('datazoom', () => {
      const { startValue, endValue } = drawn.chart.getOption().dataZoom[0]
      state.range = [startValue, endValue]
      show()
    })
    drawn.chart.on('finished', show)
    element.addEventListener('keydown', onKey)
    state.on(['byTime'], () => {
      state.range = null
      draw()
    })
    state.on(['feature', 'lanes'], draw)
    state.on(['candidate', 'marked', 'shared'], later(redraw, 0))
    state.on(['chosen', 'pointed'], show)
    show()
  }
  return { element, start, dispose: () => drawn?.dispose() }
}

/** What a screen reader says of a behaviour. */
function spoken({ history, candidates }, state, k) {
  const { item, time } = history[k]
  const said = [`${k + 1} of ${history.length}`, nameOf(item), minute(time)]
  const { influence, attention } = candidates[state.candidate]
  if (influence.length) said.push(`influence ${signed(influence[k])}`)
  if (!readAt(candidates[state.candidate], k)) said.push('not read as a sequence')
  for (const [layer, values] of Object.entries(attention)) {
    if (values[k] != null) said.push(`attention over ${layer} ${fixed(values[k])}`)
  }
  return said.filter(Boolean).join(', ')
}

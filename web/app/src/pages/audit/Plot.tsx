import 'uplot/dist/uPlot.min.css'
import { useComputedColorScheme } from '@mantine/core'
import { useElementSize } from '@mantine/hooks'
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import type { Schema } from '../../api/client'
import classes from './Plot.module.css'

const height = 96

/** What is drawn over by less than this is a click, in pixels. */
const shortestBrush = 4

interface Props {
  histogram: Schema['AuditHistogram']
  choose: (since: string, until: string) => void
}

/** The plot of the histogram: bars of all that happened, and of what was denied before them. */
export function Plot({ histogram, choose }: Props) {
  const { ref, width } = useElementSize()
  const place = useRef<HTMLDivElement>(null)
  const scheme = useComputedColorScheme('light')
  const chosen = useRef(choose)
  useEffect(() => {
    chosen.current = choose
  })
  useEffect(() => {
    if (!place.current || width < 40) return
    const plot = new uPlot(
      options(histogram, width, scheme, (since, until) => chosen.current(since, until)),
      dataOf(histogram),
      place.current,
    )
    return () => plot.destroy()
  }, [histogram, width, scheme])
  return (
    <div ref={ref} className={classes.plot} style={{ height }}>
      <div ref={place} />
    </div>
  )
}

function dataOf({ items }: Props['histogram']): uPlot.AlignedData {
  return [
    items.map(({ at }) => Date.parse(at) / 1000),
    items.map(({ done, denied }) => done + denied),
    items.map(({ denied }) => denied),
  ]
}

const day = 86_400
const dayOf = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric' })
const timeOf = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hour12: false })

const colors = {
  light: { all: '#7285dc', denied: '#d6336c', text: '#5b6270', line: '#e6e8ec' },
  dark: { all: '#5c70d6', denied: '#f06595', text: '#a9b0bb', line: '#2a2d33' },
}

function options(
  { since, until, bucket_seconds: size, items }: Props['histogram'],
  width: number,
  scheme: 'light' | 'dark',
  choose: Props['choose'],
): uPlot.Options {
  const color = colors[scheme]
  const bars = uPlot.paths.bars?.({ size: [0.8, 40], align: 1, radius: 0.15 })
  const first = items[0] ? Date.parse(items[0].at) / 1000 : Date.parse(since) / 1000
  const font = '11px Inter, system-ui, sans-serif'
  const series = (fill: string): uPlot.Series => ({
    fill,
    width: 0,
    points: { show: false },
    ...(bars && { paths: bars }),
  })
  return {
    width,
    height,
    padding: [6, 18, 0, 0],
    legend: { show: false },
    cursor: { x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: {
      x: { time: true, range: () => [first, Date.parse(until) / 1000] },
      y: { range: (_, __, most) => [0, Math.max(1, most)] },
    },
    series: [{}, series(color.all), series(color.denied)],
    axes: [
      {
        stroke: color.text,
        font,
        size: 22,
        gap: 3,
        grid: { show: false },
        ticks: { show: false },
        values: (_, splits, __, ___, step) => splits.map((at) => (step >= day ? dayOf : timeOf).format(at * 1000)),
      },
      {
        stroke: color.text,
        font,
        size: 34,
        gap: 4,
        space: 30,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5],
        grid: { stroke: color.line, width: 1 },
        ticks: { show: false },
        values: (_, splits) => splits.map((n) => (n === 0 ? '' : n >= 1000 ? `${n / 1000}k` : String(n))),
      },
    ],
    hooks: {
      setSelect: [
        (plot) => {
          const { left, width: drawn } = plot.select
          if (drawn < shortestBrush) return
          const from = plot.posToVal(left, 'x')
          const to = plot.posToVal(left + drawn, 'x')
          plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
          // Whole bars: as far as one can see what is in them.
          const start = Math.floor((from - first) / size) * size + first
          const end = Math.ceil((to - first) / size) * size + first
          choose(new Date(start * 1000).toISOString(), new Date(end * 1000).toISOString())
        },
      ],
    },
  }
}

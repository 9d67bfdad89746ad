/** A line chart whose right edge is now. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useRedraw } from "../hooks.js";
import { figure } from "../ui/format.js";

/** Seconds that a chart shows. */
export const WINDOW_S = 180;

/** Between lines of the grid: whole numbers, as counts are. */
const STEPS = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

/** A line. */
export interface Line {
  readonly label: string;
  /** The name of the colour in the styles, as `--line-1`. */
  readonly colour: `--${string}`;
  /** One value per time; `null` leaves the line out. */
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  readonly title: string;
  /** Seconds since 1970. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
}

/** A chart under its title, with the latest value of each line as legend. */
export function Chart({ title, times, lines, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | undefined>(undefined);
  const data = [times, ...lines.map(({ values }) => values)] as uPlot.AlignedData;
  usePlot(place, plot, lines, data);
  useEffect(() => {
    plot.current?.setData(data, false);
    const now = times.at(-1) ?? Date.now() / 1_000;
    plot.current?.setScale("x", { min: now - WINDOW_S, max: now });
  }, [times, lines]);
  return (
    <figure class="chart">
      <figcaption>
        <h2>{title}</h2>
        <ul class="legend">
          {lines.map(({ label, colour, values }) => {
            const latest = values.at(-1);
            return (
              <li key={label} class={`legend-${colour.slice(2)}`}>
                {label} <strong>{latest === undefined || latest === null ? "–" : format(latest)}</strong>
              </li>
            );
          })}
        </ul>
      </figcaption>
      <div class="chart-place" ref={place} />
    </figure>
  );
}

type Ref<T> = { current: T | undefined | null };

/** Makes the plot, and makes it anew when the colours change; its size follows its place. */
function usePlot(
  place: Ref<HTMLDivElement>,
  plot: Ref<uPlot>,
  lines: readonly Line[],
  data: uPlot.AlignedData,
): void {
  const redraw = useRedraw();
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(optionsFor(element, lines), plot.current?.data ?? data, element);
      redraw();
    };
    make();
    const sizes = new ResizeObserver(() => plot.current?.setSize(sizeOf(element)));
    sizes.observe(element);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", make);
    addEventListener("themechange", make);
    return () => {
      sizes.disconnect();
      dark.removeEventListener("change", make);
      removeEventListener("themechange", make);
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);
}

function sizeOf(element: HTMLElement): { width: number; height: number } {
  return { width: element.clientWidth, height: element.clientHeight };
}

function optionsFor(element: HTMLElement, lines: readonly Line[]): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: colour("--ink-quiet"),
    font: `12px ${style.fontFamily}`,
    grid: { stroke: colour("--rule"), width: 1 },
    ticks: { show: false },
  };
  const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return {
    ...sizeOf(element),
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: true, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(1, most * 1.15)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 90,
        size: 28,
        gap: 8,
        values: (_, splits) => splits.map((at) => clock.format(at * 1_000)),
      },
      { ...axis, size: 44, incrs: STEPS, values: (_, splits) => splits.map(figure) },
    ],
    series: [
      {},
      ...lines.map((line, index) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 2,
        points: { show: false },
        ...(index === 0 && lines.length === 1 && { fill: colour(`${line.colour}-soft`) }),
      })),
    ],
  };
}

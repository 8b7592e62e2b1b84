import { VisuallyHidden } from '@mantine/core';

interface Props {
  /** One value for each day, the oldest first. */
  readonly values: readonly number[];
}

const WIDTH = 56;
const HEIGHT = 20;

/** A minimal chart, so that hundreds of them are cheap. The number of uses is shown beside it. */
export function Sparkline({ values }: Props) {
  const most = Math.max(...values);
  const sum = values.reduce((total, value) => total + value, 0);
  const step = WIDTH / values.length;
  return (
    <>
      <svg className="sparkline" width={WIDTH} height={HEIGHT} aria-hidden data-quiet={most === 0 || undefined}>
        {values.map((value, day) => {
          const height = most === 0 ? 1 : Math.max(1, Math.round((value / most) * HEIGHT));
          return <rect key={day} x={day * step} y={HEIGHT - height} width={step - 1.5} height={height} rx={0.5} />;
        })}
      </svg>
      <VisuallyHidden>{`${sum} in the last ${values.length} days`}</VisuallyHidden>
    </>
  );
}

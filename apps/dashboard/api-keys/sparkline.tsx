import { VisuallyHidden } from '@mantine/core';

interface Props {
  /** One for each day, the oldest first. */
  readonly values: readonly number[];
}

const WIDTH = 64;
const HEIGHT = 20;

/** So small that hundreds of them cost nothing. The number of uses beside it says the rest. */
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

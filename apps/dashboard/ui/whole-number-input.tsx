import { NumberInput, type NumberInputProps } from '@mantine/core';

/** For a count that is typed: digits only, in groups of three. */
export function WholeNumberInput(props: NumberInputProps) {
  return <NumberInput allowDecimal={false} allowNegative={false} thousandSeparator="," hideControls {...props} />;
}

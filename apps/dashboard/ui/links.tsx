import { Anchor, Button, type AnchorProps, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { ComponentProps } from 'react';

/** A link to another page, whose address and parameters the compiler checks. */
export const TextLink = createLink((props: AnchorProps & ComponentProps<'a'>) => <Anchor {...props} />);

/** The same, as large as a button. */
export const ButtonLink = createLink((props: ButtonProps & ComponentProps<'a'>) => <Button component="a" {...props} />);

import { Anchor, Button, type AnchorProps, type ButtonProps } from '@mantine/core';
import { createLink } from '@tanstack/react-router';
import type { ComponentProps } from 'react';

/** A link to another page, with an address and parameters that the compiler checks. */
export const TextLink = createLink((props: AnchorProps & ComponentProps<'a'>) => <Anchor {...props} />);

/** The same link as a button. */
export const ButtonLink = createLink((props: ButtonProps & ComponentProps<'a'>) => <Button component="a" {...props} />);

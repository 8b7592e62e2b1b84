import { CopyButton } from '../ui/copy-button.js';
import './start.css';

interface Props {
  readonly label: string;
  readonly text: string;
  readonly onCopied?: () => void;
}

/** A text to copy whole. Long lines scroll, because a break would change a program. */
export function Snippet({ label, text, onCopied }: Props) {
  return (
    <div className="start-snippet">
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- to be scrolled by keys */}
      <pre tabIndex={0} role="region" aria-label={label} onCopy={onCopied}>
        {text}
      </pre>
      <CopyButton value={text} label={`Copy: ${label}`} onCopied={onCopied} />
    </div>
  );
}

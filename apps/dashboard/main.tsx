import './app/content-security-policy.js';
import './session/one-time-token.js';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app/app.js';
import { showShortenedTexts } from './ui/shortened.js';

showShortenedTexts();

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <App />
  </StrictMode>,
);

# The Node of the images replaces the bundled one, and a database server is a service of its own: no optional packages, but
# for the build, whose native parts are some.
FROM node:26-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY .swcrc nest-cli.json ./
COPY apps apps
COPY docs docs
COPY libs libs
RUN npm run build && npm prune --ignore-scripts --omit=dev --omit=optional

FROM node:26-slim
ENV NODE_ENV=production HOST=0.0.0.0 METRICS_HOST=0.0.0.0 PORT=3000
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# A volume in this place belongs to the user of the processes.
RUN mkdir /var/lib/keyledger && chown node:node /var/lib/keyledger
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/apps/api/main.js"]

# The service, from the hashed lock. Settings come from the environment: .env.example lists them.
#
#   docker build -t bifrost-marketdata .
#   docker run -p 8001:8001 -e DB_HOST=... -e DB_USERNAME=... -e DB_PASSWORD=... bifrost-marketdata
#   docker run -p 8001:8001 bifrost-marketdata serve --with-sample     a database of its own
#   docker run -e DB_HOST=... -e DB_USERNAME=... -e DB_PASSWORD=... bifrost-marketdata worker     ingests, serves nothing
#
# compose.yaml runs it with a database. An orchestrator asks grpc.health.v1 itself, so there is no HEALTHCHECK.

FROM python:3.12-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/marketdata
COPY requirements/server.lock requirements/
RUN /opt/marketdata/bin/pip install --no-deps --require-hashes --requirement requirements/server.lock
COPY pyproject.toml README.md LICENSE ./
COPY generated generated
COPY marketdata marketdata
RUN /opt/marketdata/bin/pip install --no-deps --no-build-isolation .

FROM python:3.12-slim-bookworm
RUN groupadd --system --gid 8001 marketdata \
    && useradd --system --create-home --uid 8001 --gid marketdata marketdata \
    && install --directory --owner=marketdata --group=marketdata /var/lib/bifrost-marketdata
COPY --from=build /opt/marketdata /opt/marketdata
ENV PATH=/opt/marketdata/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MARKETDATA_HOST=0.0.0.0 \
    MARKETDATA_DATA_DIR=/var/lib/bifrost-marketdata \
    MARKETDATA_LOG_FORMAT=json
# By number, so that an orchestrator can tell that it is not root.
USER 8001:8001
WORKDIR /home/marketdata
VOLUME /var/lib/bifrost-marketdata
EXPOSE 8001
# SIGTERM, what `docker stop` sends, drains; its default of 10 s is too short for that: stop with -t 30.
ENTRYPOINT ["marketdata"]
CMD ["serve"]

# Chandlery with all that a server needs: PostgreSQL's driver, QuestDB's client, the dashboard.
# Data, settings and keys live in the volume /data; the image holds none. docs/how-to/docker.md

FROM python:3.11-slim-bookworm AS build
WORKDIR /build
RUN python -m venv /opt/chandlery
ENV PATH=/opt/chandlery/bin:$PATH
# Changes more seldom than the code, so it stands first.
COPY requirements/server.txt requirements/server.txt
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/server.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 10001 chandlery \
    && useradd --uid 10001 --gid chandlery --no-create-home --home-dir /data --shell /usr/sbin/nologin chandlery \
    && install --directory --owner chandlery --group chandlery --mode 750 /data
COPY --from=build /opt/chandlery /opt/chandlery
COPY --chmod=755 scripts/hourly /usr/local/bin/hourly
ENV PATH=/opt/chandlery/bin:$PATH \
    CHANDLERY_HOME=/data \
    PYTHONUNBUFFERED=1
USER chandlery
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=5m --timeout=60s --start-period=2m CMD ["chandlery", "doctor", "--offline"]
ENTRYPOINT ["chandlery"]
CMD ["--help"]

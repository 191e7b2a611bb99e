# Debian's PostgreSQL under the name of the official image, where no registry of images can be reached.
FROM localhost/hub-base
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && ln -s /usr/lib/postgresql/*/bin /opt/postgres \
    && install -d -o postgres -g postgres -m 700 /var/lib/postgresql/data
COPY --chmod=755 postgres.sh /usr/local/bin/serve
ENV PATH=/opt/postgres:/usr/local/bin:/usr/bin:/bin
USER postgres
STOPSIGNAL SIGINT
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["serve"]

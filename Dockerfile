# Two images: `service` runs the API, the admin and the commands; `front` is nginx with the
# configuration and the admin's static files of the same release.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.lock ./
RUN /venv/bin/pip install --require-hashes -r requirements.lock
WORKDIR /app
COPY manage.py ./
COPY app app
COPY chat chat
RUN /venv/bin/python manage.py collectstatic --no-input \
    && /venv/bin/python -m compileall -q app chat

FROM nginx:1.28-alpine AS front
COPY nginx/nginx.conf /etc/nginx/nginx.conf
COPY --from=build /app/.data/static /srv/static
USER 101:101
EXPOSE 9000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:9000/health/live"]

FROM python:3.13-slim AS service
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin besedka
COPY --from=build /venv /venv
WORKDIR /app
COPY --from=build /app/manage.py ./
COPY --from=build /app/app app
COPY --from=build /app/chat chat
USER 10001:10001
EXPOSE 8000
# Whether the process is alive, for each value of SERVE; it does not use the database.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8000, timeout=3); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
# One process: run more containers, not more workers. nginx writes the access log.
CMD ["uvicorn", "app.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
    "--proxy-headers", "--no-access-log", "--no-server-header", \
    "--http", "app.draining:DrainingProtocol", "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "20"]

# The service on a CPU: docker build -t tacit . && docker run --rm -p 127.0.0.1:8000:8000 tacit
#
# constraints.txt pins everything that is installed to the versions that the tests run with. Nothing is downloaded at run
# time.

FROM python:3.11-slim AS build
# With EXTRAS=web,demo the page has sample photographs, and the image another 220 MB.
ARG EXTRAS=web
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# Without a pip of its own: what runs need not install anything.
RUN python -m venv --without-pip /opt/tacit
WORKDIR /build
COPY constraints.txt pyproject.toml hatch_build.py README.md LICENSE ./
COPY src ./src
COPY man ./man
RUN python -m pip --python /opt/tacit/bin/python install --constraint constraints.txt ".[$EXTRAS]" \
    && find /opt/tacit/lib -type d -name tests -prune -exec rm -r {} + \
    && cd /opt/tacit/lib/python3.*/site-packages \
    # 22 MB that nothing here imports: tools for making models, a compiler for Fortran, and zstandard for PyPy.
    && rm -r onnxruntime/transformers onnxruntime/quantization onnxruntime/tools onnxruntime/datasets numpy/f2py \
    && rm zstandard/_cffi*.so

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tacit
COPY --from=build /opt/tacit /opt/tacit
ENV PATH=/opt/tacit/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
USER 10001
WORKDIR /tmp
EXPOSE 8000
# On SIGTERM the service accepts no new work and finishes what it has.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["tacit"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

# A server of one store: docker build -t mixling . ; docker run -p 8080:8080 -v ./index:/index -v ./keys.txt:/keys.txt mixling
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
# torch first and from its own index: the CPU build, not gigabytes of CUDA
RUN python -m venv /opt/mixling \
 && /opt/mixling/bin/pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)" \
 && /opt/mixling/bin/pip install --no-cache-dir -c constraints.txt ".[search,serve,milvus]"

FROM python:3.11-slim-bookworm
COPY --from=build /opt/mixling /opt/mixling
RUN useradd --create-home --uid 10001 mixling
USER 10001
ENV PATH=/opt/mixling/bin:$PATH HF_HOME=/home/mixling/.cache/huggingface
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/ready', timeout=4)"]
ENTRYPOINT ["mixling"]
CMD ["serve", "/index", "--host", "0.0.0.0", "--port", "8080", "--keys", "/keys.txt"]

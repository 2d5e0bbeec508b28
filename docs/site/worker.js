// Pages opened from a disk may not start workers, and the search is one: here a worker is a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.body.appendChild(document.createElement("iframe"));
      frame.hidden = true;
      this.inside = frame.contentWindow;
      this.inside.document.open();
      this.inside.document.write(
        `<script>
          postMessage = data => parent.postMessage(data, "*");
          importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise(loaded => {
            const script = document.body.appendChild(document.createElement("script"));
            script.onload = loaded;
            script.src = url;
          })), Promise.resolve());
        </` + `script><body><script src="${url}"></` + `script>`
      );
      this.inside.document.close();
      this.ready = new Promise(resolve => { this.inside.onload = resolve; });
      addEventListener("message", event => {
        if (event.source === this.inside) {
          const message = new MessageEvent("message", { data: event.data });
          this.dispatchEvent(message);
          if (this.onmessage) this.onmessage(message);
        }
      });
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {}
  };
}

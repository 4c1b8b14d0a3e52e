// ReDoc of this server's own document.

import Redoc from "redoc/bundles/redoc.standalone.js";

const options = {
  // Its search runs in a worker made of a blob: URL, which the content security policy does not allow.
  disableSearch: true,
  hideDownloadButton: false,
};

Redoc.init("/openapi.json", options, document.body.appendChild(document.createElement("div")));

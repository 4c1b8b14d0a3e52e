// Swagger UI of this server's own document; every call it makes goes to this server.

import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import "swagger-ui-dist/swagger-ui.css";

SwaggerUI({
  url: "/openapi.json",
  domNode: document.body.appendChild(document.createElement("div")),
  deepLinking: true,
  // Nobody outside is asked whether the document is good, and no request goes through somebody else.
  validatorUrl: null,
  // A token stays in the page that it was typed into.
  persistAuthorization: false,
});

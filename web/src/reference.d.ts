// What of Swagger UI and ReDoc the reference pages use: their packages' bundles have no types of their own.

declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  export default function SwaggerUI(options: {
    url: string;
    domNode: HTMLElement;
    deepLinking: boolean;
    validatorUrl: string | null;
    persistAuthorization: boolean;
  }): void;
}

declare module "redoc/bundles/redoc.standalone.js" {
  const Redoc: {
    init(url: string, options: Readonly<Record<string, boolean>>, parent: HTMLElement): void;
  };
  export default Redoc;
}

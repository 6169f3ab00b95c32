import swagger from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";

/** Collect the OpenAPI document of every route that is added from now on; `app.swagger()` has it. */
export async function describeRoutes(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "MicroCeph Mesh",
        version,
        description:
          "HTTP on the Unix socket control.socket. `?target=NODE` on any path asks another member.",
      },
    },
    transform: jsonSchemaTransform,
    transformObject: onlyReplySchemas,
  });
}

type TransformObject = typeof jsonSchemaTransformObject;

/** Named schemas are all of replies: their other form, for requests, is left out. */
function onlyReplySchemas(document: Parameters<TransformObject>[0]): ReturnType<TransformObject> {
  const transformed = jsonSchemaTransformObject(document);
  const schemas = "components" in transformed ? (transformed.components?.schemas ?? {}) : {};
  for (const name of Object.keys(schemas)) if (name.endsWith("Input")) delete schemas[name];
  return transformed;
}

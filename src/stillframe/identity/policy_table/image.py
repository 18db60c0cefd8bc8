"""Images: Glance v2 and IMS, with the action of Open Telekom Cloud that each operation is."""

TABLE = """
open     GET    /
open     GET    /healthcheck
open     GET    /v1
open     GET    /v1.1
reader   GET    /v1.1/images/detail                                          ims:images:list
member   DELETE /v1.1/images/{image_id}                                      ims:images:delete
member   POST   /v1/cloudimages/action                                       ims:serverImages:create
member   POST   /v1/cloudimages/dataimages/action                            ims:dataImages:create
reader   GET    /v1/cloudimages/job/{job_id}                                 ims:images:get
member   DELETE /v1/cloudimages/members                                      ims:images:share
member   POST   /v1/cloudimages/members                                      ims:images:share
member   PUT    /v1/cloudimages/members                                      ims:images:share
reader   GET    /v1/cloudimages/os_version                                   ims:images:list
reader   GET    /v1/cloudimages/quota                                        ims:quotas:get
reader   GET    /v1/cloudimages/tags                                         ims:images:list
member   PUT    /v1/cloudimages/tags                                         ims:images:update
member   POST   /v1/cloudimages/wholeimages/action                           ims:wholeImages:create
member   POST   /v1/cloudimages/{image_id}/copy                              ims:images:copy
member   POST   /v1/cloudimages/{image_id}/cross_region_copy                 ims:images:copy
member   POST   /v1/cloudimages/{image_id}/file                              ims:images:export
member   PUT    /v1/cloudimages/{image_id}/upload                            ims:images:upload
reader   HEAD   /v1/images/{image_id}                                        ims:images:get
reader   GET    /v1/{project_id}/cloudimages/{image_id}/members              ims:images:get
reader   GET    /v1/{project_id}/cloudimages/{image_id}/members/{member_id}  ims:images:get
member   DELETE /v1/{project_id}/cloudimages/{image_id}/tags/delete          ims:images:update
member   DELETE /v1/{project_id}/jobs/{job_id}                               ims:images:update
reader   GET    /v1/{project_id}/jobs/{job_id}                               ims:images:get
open     GET    /v2
member   POST   /v2.1/cloudimages/action                                     ims:serverImages:create
member   POST   /v2.1/cloudimages/dataimages/action                          ims:dataImages:create
member   POST   /v2.1/cloudimages/quickimport/action                         ims:serverImages:create
member   POST   /v2.1/cloudimages/wholeimages/action                         ims:wholeImages:create
member   POST   /v2.1/cloudimages/{image_id}/copy                            ims:images:copy
member   POST   /v2.1/cloudimages/{image_id}/file                            ims:images:export
admin    DELETE /v2/cache
admin    GET    /v2/cache
admin    DELETE /v2/cache/{image_id}
admin    PUT    /v2/cache/{image_id}
reader   GET    /v2/cloudimages                                              ims:images:list
member   POST   /v2/cloudimages/action                                       ims:serverImages:create
member   POST   /v2/cloudimages/quickimport/action                           ims:serverImages:create
member   PATCH  /v2/cloudimages/{image_id}                                   ims:images:update
reader   GET    /v2/images                                                   ims:images:list
member   POST   /v2/images                                                   ims:images:create
member   DELETE /v2/images/{image_id}                                        ims:images:delete
reader   GET    /v2/images/{image_id}                                        ims:images:get
member   PATCH  /v2/images/{image_id}                                        ims:images:update
member   POST   /v2/images/{image_id}/actions/deactivate                     ims:images:update
member   POST   /v2/images/{image_id}/actions/reactivate                     ims:images:update
member   GET    /v2/images/{image_id}/file
member   PUT    /v2/images/{image_id}/file                                   ims:images:upload
member   POST   /v2/images/{image_id}/import                                 ims:images:upload
reader   GET    /v2/images/{image_id}/locations                              ims:images:get
member   POST   /v2/images/{image_id}/locations                              ims:images:update
reader   GET    /v2/images/{image_id}/members                                ims:images:get
member   POST   /v2/images/{image_id}/members                                ims:images:share
member   DELETE /v2/images/{image_id}/members/{member_id}                    ims:images:share
reader   GET    /v2/images/{image_id}/members/{member_id}                    ims:images:get
member   PUT    /v2/images/{image_id}/members/{member_id}                    ims:images:share
member   PUT    /v2/images/{image_id}/stage                                  ims:images:upload
member   DELETE /v2/images/{image_id}/tags/{tag}                             ims:images:update
member   PUT    /v2/images/{image_id}/tags/{tag}                             ims:images:update
reader   GET    /v2/images/{image_id}/tasks                                  ims:images:get
token    GET    /v2/info/import
token    GET    /v2/info/stores
admin    GET    /v2/info/stores/detail
reader   GET    /v2/info/usage
reader   GET    /v2/metadefs/namespaces
admin    POST   /v2/metadefs/namespaces
admin    DELETE /v2/metadefs/namespaces/{namespace}
reader   GET    /v2/metadefs/namespaces/{namespace}
admin    PUT    /v2/metadefs/namespaces/{namespace}
admin    DELETE /v2/metadefs/namespaces/{namespace}/objects
reader   GET    /v2/metadefs/namespaces/{namespace}/objects
admin    POST   /v2/metadefs/namespaces/{namespace}/objects
admin    DELETE /v2/metadefs/namespaces/{namespace}/objects/{name}
reader   GET    /v2/metadefs/namespaces/{namespace}/objects/{name}
admin    PUT    /v2/metadefs/namespaces/{namespace}/objects/{name}
admin    DELETE /v2/metadefs/namespaces/{namespace}/properties
reader   GET    /v2/metadefs/namespaces/{namespace}/properties
admin    POST   /v2/metadefs/namespaces/{namespace}/properties
admin    DELETE /v2/metadefs/namespaces/{namespace}/properties/{name}
reader   GET    /v2/metadefs/namespaces/{namespace}/properties/{name}
admin    PUT    /v2/metadefs/namespaces/{namespace}/properties/{name}
reader   GET    /v2/metadefs/namespaces/{namespace}/resource_types
admin    POST   /v2/metadefs/namespaces/{namespace}/resource_types
admin    DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{name}
admin    DELETE /v2/metadefs/namespaces/{namespace}/tags
reader   GET    /v2/metadefs/namespaces/{namespace}/tags
admin    POST   /v2/metadefs/namespaces/{namespace}/tags
admin    DELETE /v2/metadefs/namespaces/{namespace}/tags/{name}
reader   GET    /v2/metadefs/namespaces/{namespace}/tags/{name}
admin    POST   /v2/metadefs/namespaces/{namespace}/tags/{name}
admin    PUT    /v2/metadefs/namespaces/{namespace}/tags/{name}
reader   GET    /v2/metadefs/resource_types
token    GET    /v2/schemas/metadefs/{name}
token    GET    /v2/schemas/{name}
admin    DELETE /v2/stores/{store_id}/{image_id}                             ims:images:delete
admin    GET    /v2/tasks                                                    ims:images:list
admin    POST   /v2/tasks                                                    ims:images:create
admin    GET    /v2/tasks/{task_id}                                          ims:images:get
reader   POST   /v2/{project_id}/images/resource_instances/action            ims:images:list
reader   GET    /v2/{project_id}/images/tags                                 ims:images:list
reader   GET    /v2/{project_id}/images/{image_id}/tags                      ims:images:get
member   POST   /v2/{project_id}/images/{image_id}/tags                      ims:images:update
member   DELETE /v2/{project_id}/images/{image_id}/tags/action               ims:images:update
member   POST   /v2/{project_id}/images/{image_id}/tags/action               ims:images:update
member   DELETE /v2/{project_id}/images/{image_id}/tags/{key}                ims:images:update
reader   POST   /v2/{project_id}/{resource_type}/resource_instances/action   ims:images:list
reader   GET    /v2/{project_id}/{resource_type}/tags                        ims:images:list
open     GET    /versions
reader   GET    /{version}
"""
